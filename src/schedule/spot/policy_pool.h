#pragma once

#include <memory>
#include <vector>

#include "base/synchronized.h"
#include "engine/spot_policy.h"
#include "schedule/spot/planner.h"

namespace buoy::schedule::spot {

// Spot policies, each within the safety net, for any number of jobs. The answer depends on the rule and the
// view alone; the plans that some policies keep only make it quick. Any thread.
class PolicyPool {
 public:
  // `planner`: what has been learned; of its capacity in plans the pool keeps some more.
  explicit PolicyPool(std::shared_ptr<Planner> planner) : planner_(std::move(planner)) {}

  // `rule`: not none.
  engine::SpotDecision decide(engine::SpotRule rule, const engine::SpotView& view);

 private:
  struct Kept {
    engine::SpotRule rule;
    Duration work_total{}, time_total{}, changeover{};  // of the job that it was last used for
    std::unique_ptr<engine::SpotPolicy> policy;
  };
  // The one that was last used for such a job, or any; made where all are in use.
  Kept take(engine::SpotRule rule, const engine::SpotView& view);

  std::shared_ptr<Planner> planner_;
  Synchronized<std::vector<Kept>> idle_;  // the last used last
};

}  // namespace buoy::schedule::spot
