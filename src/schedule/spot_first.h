#pragma once

#include "engine/engine.h"

namespace buoy::schedule {

// The simplest policy that saves money: pools in the order given; within a pool spot before on-demand, as far
// as the job and the pool allow; within a market the cheapest type that is large enough. Idle machines count
// as room. Candidate::score is the price of all machines asked for, in USD an hour. Thread-safe: it has no
// state.
class SpotFirst final : public engine::PlacementPolicy {
 public:
  engine::Placement place(const engine::PlacementRequest& request, std::span<const engine::PoolView> pools,
                          Time now) const override;
};

}  // namespace buoy::schedule
