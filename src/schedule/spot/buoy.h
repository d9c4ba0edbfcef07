#pragma once

#include <memory>
#include <vector>

#include "engine/spot_policy.h"
#include "schedule/spot/planners.h"

namespace buoy::schedule::spot {

// Buoy's own policy: a model of availability by age and history, and a plan over time, slack and market state
// solved on it (docs/policies.md). A plan is made once for a job and again only when prices, the pace of the
// market or what was learned of it have changed. While it is asked to plan apart and has no plan yet, what is
// held goes on, and nothing is begun until it would be late for uniform progress.
class Buoy final : public engine::SpotPolicy {
 public:
  explicit Buoy(std::shared_ptr<Planners> planners) : planners_(std::move(planners)) {}
  explicit Buoy(std::shared_ptr<Planner> planner) : Buoy(std::make_shared<OnePlanner>(std::move(planner))) {}

  std::string_view name() const override { return "buoy"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;
  std::shared_ptr<const engine::SpotPlan> plan(const engine::SpotView& view) override;

 private:
  // What is known of a market that decisions look up; it lasts as long as the planner.
  struct Known {
    std::shared_ptr<Planner> planner;
    const AvailabilityModel* one = nullptr;  // of a place by itself
    Duration changeover{};
    // The chance that one place stays up for a changeover, and for some hours, by its state.
    const std::vector<double>*survives_changeover = nullptr, *survives_hours = nullptr;
  };
  struct Solved final : engine::SpotPlan {
    Known known;
    const AvailabilityModel* together = nullptr;  // of as many places
    std::shared_ptr<const Plan> plan;
  };
  struct Best {
    std::size_t place = 0;
    MarketState state;      // of it alone
    MarketState next_best;  // of the best of the others that are up; `up` is 0: none is
  };

  static Known knownOf(std::shared_ptr<Planner> planner, Duration changeover);
  static std::shared_ptr<const Solved> solve(const engine::SpotPlan& wanted,
                                             std::shared_ptr<Planner> planner);
  static bool learnedFrom(const engine::SpotView& view, const engine::SpotPlan& plan);
  static void nameFor(const engine::SpotView& view, const AvailabilityModel& one, engine::SpotPlan& name);
  static bool wantsAnother(const engine::SpotView& view, const Solved& solved);

  static engine::SpotDecision withoutPlan(const engine::SpotView& view);
  static engine::SpotDecision keepOrMove(const engine::SpotView& view, const Known& known);
  static engine::SpotDecision decideBy(const engine::SpotView& view, const Solved& solved);
  static bool chooseBest(const engine::SpotView& view, const Known& known, Best& best);
  static double launchCost(const engine::SpotView& view, const Solved& solved, const Best& best,
                           std::uint8_t share);
  static double score(const engine::SpotView& view, const Known& known, std::size_t place);

  const Known& ownKnown(const engine::SpotView& view);
  const Solved& ownSolved(const engine::SpotView& view);
  engine::SpotDecision decideApart(const engine::SpotView& view);

  std::shared_ptr<Planners> planners_;
  // Where it plans when it is asked.
  Known known_;
  engine::SpotPlan wanted_;
  std::shared_ptr<const Solved> solved_;
};

}  // namespace buoy::schedule::spot
