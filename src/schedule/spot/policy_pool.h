#pragma once

#include <memory>
#include <vector>

#include "base/synchronized.h"
#include "engine/spot_policy.h"
#include "schedule/spot/planners.h"

namespace buoy::schedule::spot {

// Spot policies, each within the safety net, for any number of jobs. The answer depends on the rule and the
// view alone; the plans that some policies keep only make it quick. Any thread.
class PolicyPool {
 public:
  explicit PolicyPool(std::shared_ptr<Planners> planners) : planners_(std::move(planners)) {}
  explicit PolicyPool(std::shared_ptr<Planner> planner)
      : PolicyPool(std::make_shared<OnePlanner>(std::move(planner))) {}

  // `rule`: not none.
  engine::SpotDecision decide(engine::SpotRule rule, const engine::SpotView& view);
  std::shared_ptr<const engine::SpotPlan> plan(engine::SpotRule rule, const engine::SpotView& view);

 private:
  struct Kept {
    engine::SpotRule rule;
    Duration work_total{}, time_total{}, changeover{};  // of the job that it was last used for
    std::unique_ptr<engine::SpotPolicy> policy;
  };
  // The one that was last used for such a job, or any; made where all are in use.
  Kept take(engine::SpotRule rule, const engine::SpotView& view);
  void put(Kept kept);

  std::shared_ptr<Planners> planners_;
  Synchronized<std::vector<Kept>> idle_;  // the last used last
};

}  // namespace buoy::schedule::spot
