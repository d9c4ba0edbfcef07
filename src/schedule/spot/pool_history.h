#pragma once

#include <span>
#include <vector>

#include "engine/types.h"
#include "schedule/spot/availability_model.h"

namespace buoy::schedule::spot {

// What happened to a pool's spot capacity until an instant (Changes::market, oldest first), as a past to
// learn from: when spot could be had, and the lives of machines.
std::vector<History> historiesOf(std::span<const engine::MarketEvent> events, Time until);

}  // namespace buoy::schedule::spot
