#pragma once

#include <span>

#include "schedule/spot/availability_model.h"

namespace buoy::schedule::spot {

// What so many places are like together, learned from groups of recorded ones: as many groups as there are
// histories; where they are fewer than `places`, the same ones again at other times. Only recorded ones
// count, and those with the step of the first. `one`: what a place by itself is like.
AvailabilityModel learnGroup(const AvailabilityModel& one, std::span<const History> histories,
                             std::size_t places);

}  // namespace buoy::schedule::spot
