#pragma once

#include <cstdint>
#include <vector>

#include "sim/trace.h"

namespace buoy::sim {

// What a recorded market was like for gangs of some size.
struct TraceStatistics {
  double up_share = 0;              // of all ticks
  std::uint32_t reclaims = 0;       // ends of up-times
  Duration mean_up{}, mean_down{};  // of times whose beginning and end were seen; zero: none
  struct AgeHazard {
    Duration from{};   // of up-times at least this old, up to the next
    double hours = 0;  // seen
    std::uint32_t reclaims = 0;
    double perHour() const { return hours > 0 ? reclaims / hours : 0; }
  };
  std::vector<AgeHazard> by_age;   // only of up-times whose beginning was seen
  PricePerHour least, mean, most;  // of spot; zero without prices
};

TraceStatistics statisticsOf(const Trace& trace, std::int32_t machines);

}  // namespace buoy::sim
