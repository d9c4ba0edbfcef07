#pragma once

#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// On-demand from the start to the end: what everything else is compared with.
class OnDemand final : public engine::SpotPolicy {
 public:
  std::string_view name() const override { return "on-demand"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;
};

}  // namespace buoy::schedule::spot
