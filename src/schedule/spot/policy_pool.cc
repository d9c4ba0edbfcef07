#include "schedule/spot/policy_pool.h"

#include <algorithm>

#include "engine/types.h"
#include "schedule/spot/policies.h"

namespace buoy::schedule::spot {
namespace {

constexpr std::size_t kMostIdle = 6;

}  // namespace

PolicyPool::Kept PolicyPool::take(engine::SpotRule rule, const engine::SpotView& view) {
  Kept kept{rule, view.work_total, view.time_total, view.changeover, nullptr};
  {
    auto idle = idle_.lock();
    const auto found = std::find_if(idle->begin(), idle->end(), [&](const Kept& each) {
      return each.rule == rule && each.work_total == kept.work_total && each.time_total == kept.time_total &&
             each.changeover == kept.changeover;
    });
    if (found != idle->end()) {
      kept.policy = std::move(found->policy);
      idle->erase(found);
      return kept;
    }
  }
  auto made = makePolicy(toString(rule), planners_);
  BUOY_CHECK(made.has_value());
  kept.policy = std::move(*made);
  return kept;
}

engine::SpotDecision PolicyPool::decide(engine::SpotRule rule, const engine::SpotView& view) {
  Kept kept = take(rule, view);
  const engine::SpotDecision decision = kept.policy->decide(view);
  put(std::move(kept));
  return decision;
}

std::shared_ptr<const engine::SpotPlan> PolicyPool::plan(engine::SpotRule rule,
                                                         const engine::SpotView& view) {
  Kept kept = take(rule, view);
  auto plan = kept.policy->plan(view);
  put(std::move(kept));
  return plan;
}

void PolicyPool::put(Kept kept) {
  auto idle = idle_.lock();
  if (idle->size() >= kMostIdle) idle->erase(idle->begin());
  idle->push_back(std::move(kept));
}

}  // namespace buoy::schedule::spot
