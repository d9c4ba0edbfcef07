#include "schedule/spot/trace_history.h"

#include <algorithm>

namespace buoy::schedule::spot {

History historyOf(const sim::Trace& trace, std::int32_t machines) {
  History history{.place = trace.place(), .step = trace.gap, .spans = {}};
  const auto most = std::max_element(trace.available.begin(), trace.available.end());
  if (most != trace.available.end()) machines = std::clamp(machines, 1, std::max(*most, 1));
  for (std::size_t tick = 0; tick < trace.available.size(); ++tick) {
    const bool up = trace.up(tick, machines);
    if (history.spans.empty() || history.spans.back().up != up) history.spans.push_back({Duration{}, up});
    history.spans.back().length += trace.gap;
  }
  return history;
}

}  // namespace buoy::schedule::spot
