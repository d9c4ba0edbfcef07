#include "schedule/spot/on_demand.h"

namespace buoy::schedule::spot {

engine::SpotDecision OnDemand::decide(const engine::SpotView&) {
  return {.take = engine::Holding::on_demand, .reason = "on-demand always"};
}

}  // namespace buoy::schedule::spot
