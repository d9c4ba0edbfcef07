#pragma once

#include <memory>
#include <vector>

#include "engine/spot_policy.h"
#include "schedule/spot/planner.h"

namespace buoy::schedule::spot {

// Buoy's own policy: a model of availability by age and history, and a plan over time, slack and market state
// solved on it (docs/policies.md). A plan is made once for a job and again only when prices or the pace of
// the market have changed.
class Buoy final : public engine::SpotPolicy {
 public:
  explicit Buoy(std::shared_ptr<Planner> planner) : planner_(std::move(planner)) {}

  std::string_view name() const override { return "buoy"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;

 private:
  struct Best {
    std::size_t place = 0;
    double loss = 0;  // the chance that it is lost before a changeover there ends
    bool alone = true;
  };
  const Plan& planFor(const engine::SpotView& view, std::span<const engine::AvailabilitySpan> past);
  bool chooseBest(const engine::SpotView& view, Best& best);
  engine::SpotDecision keepOrMove(const engine::SpotView& view);
  void prepareSurvival(const engine::SpotView& view);
  double score(const engine::SpotView& view, std::size_t place) const;

  std::shared_ptr<Planner> planner_;
  PlanProblem problem_;
  std::shared_ptr<const Plan> plan_;
  Duration survival_of_{-1};
  std::vector<double> survives_changeover_, survives_hours_;  // of one place, by its state
};

}  // namespace buoy::schedule::spot
