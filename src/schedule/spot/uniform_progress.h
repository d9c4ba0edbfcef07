#pragma once

#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// Uniform progress ("Can't Be Late", NSDI '24). With cp the work done, t the time passed, C the work and D
// the deadline: spot when it is up; when it is not, on-demand if cp < t·C/D, else nothing. On-demand is left
// for spot only, and only once cp > (t + 2d)·C/D (written as >= there; its own simulator's rounding stays at
// a tie).
class UniformProgress final : public engine::SpotPolicy {
 public:
  std::string_view name() const override { return "uniform-progress"; }
  engine::SpotDecision decide(const engine::SpotView& view) override;
};

}  // namespace buoy::schedule::spot
