#pragma once

#include <memory>

#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// Lets a policy decide as long as the deadline stays safe, and goes on-demand where it would not. As long as
// changeovers take no longer than their bound and on-demand capacity can be had, a deadline that one
// on-demand changeover and the work fit into at the start is never missed, whatever the policy answers and
// spot does.
//
// With w the work left, d the changeover bound and R the time left, rounded to whole steps (R down, what is
// compared with it up): if w + 2d >= R, nothing but spot that is held already may go on; if w + d >= R,
// nothing but spot that is held with its changeover behind it (the two rules of "Can't Be Late", NSDI '24).
// And no answer is let through after which, should spot be lost within one step with the work that is at
// risk, w + d would no longer fit. All in integers.
class SafetyNet final : public engine::SpotPolicy {
 public:
  explicit SafetyNet(std::unique_ptr<engine::SpotPolicy> policy) : policy_(std::move(policy)) {}

  std::string_view name() const override { return policy_->name(); }
  engine::SpotDecision decide(const engine::SpotView& view) override;
  std::shared_ptr<const engine::SpotPlan> plan(const engine::SpotView& view) override {
    return policy_->plan(view);
  }

 private:
  std::unique_ptr<engine::SpotPolicy> policy_;
};

}  // namespace buoy::schedule::spot
