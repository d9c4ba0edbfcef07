#pragma once

#include <string>
#include <vector>

#include "engine/spot_policy.h"

namespace buoy::engine {

class PlacementPolicy;

// What a spot policy is asked about a job: a SpotView that owns what it shows, so that it can be kept with
// the answer and asked again (docs/adr/0007).
struct SpotQuestion {
  SpotRule rule = SpotRule::none;
  Duration work_total{}, work_left{};
  Duration unsaved{};  // of the work that is done: what would have to be done again if spot were lost now
  Duration time_total{}, time_left{};  // until the deadline; not positive: it has passed
  Duration changeover{};               // with the time until a loss is noticed; so those of the places
  Duration step{};
  PricePerHour on_demand_price;
  std::int32_t machines = 1;
  struct Place {
    std::string pool, type;
    PricePerHour price;
    Duration changeover{};
    std::vector<AvailabilitySpan> past;
  };
  std::vector<Place> places;
  Holding holding = Holding::nothing;
  std::uint32_t held = 0;  // which place; with Holding::spot
  Duration changeover_left{};
};

// The policy's answer, made safe for work that is not saved yet: spot that works is left in time to do it
// again. After the deadline, what works goes on, and else on-demand is taken. Pure.
SpotDecision answerOf(const PlacementPolicy& policy, const SpotQuestion& question);

// Of time and work, what may still be lost before on-demand must be taken: negative, it is late. With spot
// that works all that is not saved counts as lost.
Duration spareOf(const SpotQuestion& question);

}  // namespace buoy::engine
