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
  explicit Buoy(std::shared_ptr<Planner> planner) : planner_(std::move(planner)), one_(planner_->model(1)) {}

  std::string_view name() const override { return "buoy"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;

 private:
  struct Best {
    std::size_t place = 0;
    MarketState state;      // of it alone
    MarketState next_best;  // of the best of the others that are up; `up` is 0: none is
  };
  const Plan& planFor(const engine::SpotView& view);
  bool chooseBest(const engine::SpotView& view, Best& best);
  double launchCost(const engine::SpotView& view, const Plan& plan, const Best& best,
                    std::uint8_t share) const;
  engine::SpotDecision keepOrMove(const engine::SpotView& view);
  void prepareSurvival(const engine::SpotView& view);
  double score(const engine::SpotView& view, std::size_t place) const;

  std::shared_ptr<Planner> planner_;
  const AvailabilityModel& one_;  // of a place by itself
  PlanProblem problem_;
  std::shared_ptr<const Plan> plan_;
  Duration survival_of_{-1};  // the changeover
  // Of one place, by its state; the planner's.
  const std::vector<double>*survives_changeover_ = nullptr, *survives_hours_ = nullptr;
};

}  // namespace buoy::schedule::spot
