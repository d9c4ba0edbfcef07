#include "schedule/spot/pool_history.h"

#include <algorithm>

namespace buoy::schedule::spot {
namespace {

using engine::MarketEvent;

constexpr Duration kStep = std::chrono::minutes{3};  // the narrowest bin of age

// Whole steps, so that each span is counted with the age at which it ended.
Duration inSteps(Duration length) {
  return std::max(kStep, (length + kStep / 2) / kStep * kStep);
}

}  // namespace

std::vector<History> historiesOf(std::span<const MarketEvent> events, Time until) {
  std::vector<History> histories;
  History seen{.place = {}, .step = kStep, .spans = {}, .kind = History::Kind::seen};
  Time since{};
  for (const MarketEvent& event : events) {
    if (event.what == MarketEvent::What::ended) {
      History life{.place = event.pool, .step = kStep, .spans = {}, .kind = History::Kind::life};
      life.spans = {{.length = kStep, .up = false}, {.length = inSteps(event.lived), .up = true}};
      if (event.taken) life.spans.push_back({.length = kStep, .up = false});
      histories.push_back(std::move(life));
      continue;
    }
    if (!seen.spans.empty()) seen.spans.back().length = inSteps(event.at - since);
    seen.place = event.pool;
    seen.spans.push_back({.length = {}, .up = event.what == MarketEvent::What::up});
    since = event.at;
  }
  if (!seen.spans.empty()) {
    seen.spans.back().length = inSteps(until - since);
    histories.push_back(std::move(seen));
  }
  return histories;
}

}  // namespace buoy::schedule::spot
