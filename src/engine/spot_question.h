#pragma once

#include <memory>
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
  bool begins_again = false;
  struct Place {
    std::string pool, type;
    PricePerHour price;
    Duration changeover{};
    Money move_cost;  // of the traffic when the checkpoint is restored there
    std::vector<AvailabilitySpan> past;
    SpotSource source;
  };
  std::vector<Place> places;
  Holding holding = Holding::nothing;
  std::uint32_t held = 0;  // which place; with Holding::spot
  Duration changeover_left{};
  std::shared_ptr<const SpotPlan> plan;  // that was solved for the job before; null: none
};

// The policy's answer, by the question's plan. After the deadline, what works goes on, and else on-demand is
// taken. Pure, and quick.
SpotDecision answerOf(const PlacementPolicy& policy, const SpotQuestion& question);

// The plan that the policy wants for such questions, solved; null: it needs none. Pure; up to half a second.
std::shared_ptr<const SpotPlan> planFor(const PlacementPolicy& policy, const SpotQuestion& question);

// Of time and work, what may still be lost before on-demand must be taken: negative, it is late. With spot
// that works all that is not saved counts as lost.
Duration spareOf(const SpotQuestion& question);

}  // namespace buoy::engine
