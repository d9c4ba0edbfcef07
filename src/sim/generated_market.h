#pragma once

#include <cstdint>
#include <vector>

#include "sim/trace.h"

namespace buoy::sim {

// Markets made up from a seed, for tests and for trying policies on markets unlike the recorded ones. The
// hazard of either state falls with its age, from `fresh` to `settled` an hour, halfway at `settling`.
struct StateHazard {
  double fresh = 1, settled = 0.05;  // an hour
  Duration settling = std::chrono::minutes{45};
};
struct MarketModel {
  std::uint64_t seed = 1;
  std::size_t zones = 1, ticks = 10'000;
  Duration gap = std::chrono::seconds{195};
  StateHazard up{}, down{.fresh = 2, .settled = 0.1};
  double daily = 0.3;     // how much the hazard of being reclaimed rises and falls within a day: 0 to 1
  double shocks = 0.01;   // an hour: events that most zones of the region feel together
  double shared = 0.7;    // the chance that a zone goes down in a shock
  std::int32_t most = 1;  // instances available at once, from 1 while a zone is up
  PricePerHour on_demand_price{3'060'000'000}, spot_price{920'000'000};  // spot wanders by up to a tenth
};

// One trace a zone. The same on every machine: nothing but the basic operations of IEEE 754 is used.
std::vector<Trace> generateMarket(const MarketModel& model);

}  // namespace buoy::sim
