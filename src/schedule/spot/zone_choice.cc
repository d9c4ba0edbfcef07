#include "schedule/spot/zone_choice.h"

namespace buoy::schedule::spot {

std::optional<std::size_t> chooseZone(const engine::SpotView& view) {
  if (view.holding == engine::Holding::spot) return view.held;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    const engine::SpotCandidate& candidate = view.candidates[i];
    if (!candidate.up()) continue;
    const auto better = [&](const engine::SpotCandidate& other) {
      if (candidate.price != other.price) return candidate.price < other.price;
      return candidate.past.back().length > other.past.back().length;
    };
    if (!best || better(view.candidates[*best])) best = i;
  }
  return best;
}

}  // namespace buoy::schedule::spot
