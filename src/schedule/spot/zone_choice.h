#pragma once

#include <cstddef>
#include <optional>

#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// Where the simple policies take spot: what is held if it is still up, else the cheapest that is up; of
// several the one that has been up longest, because what has lasted lasts on. nullopt: none is up.
std::optional<std::size_t> chooseZone(const engine::SpotView& view);

}  // namespace buoy::schedule::spot
