#pragma once

#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// Spot while there is any, nothing otherwise; on-demand only when the safety net says so.
class SpotFirst final : public engine::SpotPolicy {
 public:
  std::string_view name() const override { return "spot-first"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;
};

}  // namespace buoy::schedule::spot
