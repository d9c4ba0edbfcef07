#include "sim/market.h"

#include <algorithm>

namespace buoy::sim {

Offer SteppedMarket::at(Time at) const {
  const auto after = std::upper_bound(steps_.begin(), steps_.end(), at,
                                      [](Time time, const Step& step) { return time < step.from; });
  return after == steps_.begin() ? after->offer : (after - 1)->offer;
}

std::optional<Time> SteppedMarket::nextChange(Time after) const {
  const Offer now = at(after);
  auto step = std::upper_bound(steps_.begin(), steps_.end(), after,
                               [](Time time, const Step& each) { return time < each.from; });
  // The first step holds before its time, so its beginning changes nothing.
  while (step != steps_.end() && step->offer == now) ++step;
  return step == steps_.end() ? std::nullopt : std::optional(step->from);
}

}  // namespace buoy::sim
