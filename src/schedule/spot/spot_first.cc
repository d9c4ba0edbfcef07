#include "schedule/spot/spot_first.h"

#include "schedule/spot/zone_choice.h"

namespace buoy::schedule::spot {

engine::SpotDecision SpotFirst::decide(const engine::SpotView& view) {
  if (const auto zone = chooseZone(view))
    return {.take = engine::Holding::spot, .candidate = *zone, .reason = "spot is up"};
  return {.take = engine::Holding::nothing, .reason = "waiting for spot"};
}

}  // namespace buoy::schedule::spot
