#pragma once

#include <memory>

#include "schedule/spot/policy_pool.h"
#include "schedule/spot_first.h"

namespace buoy::schedule {

// Everything that the engine leaves to policies: machines are placed spot first, jobs with a deadline steered
// by the spot policy that they name. Any thread.
class Scheduler final : public engine::PlacementPolicy {
 public:
  explicit Scheduler(std::shared_ptr<spot::Planners> planners)
      : policies_(std::make_unique<spot::PolicyPool>(std::move(planners))) {}
  explicit Scheduler(std::shared_ptr<spot::Planner> planner)
      : Scheduler(std::make_shared<spot::OnePlanner>(std::move(planner))) {}

  engine::Placement place(const engine::PlacementRequest& request, std::span<const engine::PoolView> pools,
                          Time now) const override {
    return placement_.place(request, pools, now);
  }
  engine::SpotDecision steer(engine::SpotRule rule, const engine::SpotView& view) const override {
    return policies_->decide(rule, view);
  }
  std::shared_ptr<const engine::SpotPlan> plan(engine::SpotRule rule,
                                               const engine::SpotView& view) const override {
    return policies_->plan(rule, view);
  }

 private:
  SpotFirst placement_;
  std::unique_ptr<spot::PolicyPool> policies_;  // keeps plans, which show in nothing but the time it takes
};

}  // namespace buoy::schedule
