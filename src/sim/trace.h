#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace buoy::sim {

// A recorded spot market of one zone and machine type, sampled every `gap`: {"metadata": {"gap_seconds": 195,
// "zone": "us-east-2a", "instance_type": "p3.2xlarge", "on_demand_price": 3.06}, "data": [instances available
// in each tick], "prices": [USD an hour in each tick]}. Only gap_seconds and data are needed; what else
// stands there is ignored.
struct Trace {
  Duration gap{};
  std::vector<std::int32_t> available;
  std::vector<PricePerHour> prices;  // of spot; empty, or as long as `available`
  std::string zone, instance_type;   // empty: not told
  PricePerHour on_demand_price;      // zero: not told

  // Whether a gang of so many machines can be had in a tick; not beyond the end.
  bool up(std::size_t tick, std::int32_t machines = 1) const {
    return tick < available.size() && available[tick] >= machines;
  }
  // What history is kept under: "us-east-2a/p3.2xlarge".
  std::string place() const { return zone + "/" + instance_type; }
};

// Limits: 10 million ticks, a gap of 1 ms to 10 years. invalid_argument names the field.
Result<Trace> parseTrace(std::string_view json);

}  // namespace buoy::sim
