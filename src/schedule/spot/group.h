#pragma once

#include <span>
#include <vector>

#include "schedule/spot/availability_model.h"

namespace buoy::schedule::spot {

// Several places seen as one that is up while any of them is.
std::vector<engine::AvailabilitySpan> together(std::span<const engine::SpotCandidate> places);

// The same of recorded pasts, for learning: as many groups of `size` places as there are histories; where
// they are fewer than `size`, the same ones again at other times. Those with another step than the first are
// left out. With the rate at which whoever holds one of the places loses it while another is up.
struct Groups {
  std::vector<History> histories;
  double handovers = 0;  // an hour while up
};
Groups groupsOf(std::span<const History> histories, std::size_t size);

}  // namespace buoy::schedule::spot
