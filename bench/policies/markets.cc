#include "markets.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "schedule/spot/trace_history.h"
#include "sim/random.h"

namespace buoy::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kQuarters = 4;
constexpr std::size_t kZones = 4;

struct Quarter {
  std::size_t trace = 0, number = 0;
  sim::Trace stretch;
  double up = 0;
};

double upShare(const sim::Trace& trace) {
  const auto up = std::count_if(trace.available.begin(), trace.available.end(), [](int n) { return n > 0; });
  return static_cast<double>(up) / static_cast<double>(trace.available.size());
}

std::vector<Quarter> quartersOf(const Traces& traces) {
  std::vector<Quarter> quarters;
  for (std::size_t trace = 0; trace < traces.size(); ++trace) {
    const std::size_t length = traces[trace].available.size() / kQuarters;
    for (std::size_t number = 0; number < kQuarters; ++number) {
      sim::Trace stretch = part(traces[trace], number * length, (number + 1) * length);
      stretch.zone += "-" + std::to_string(number + 1);
      const double up = upShare(stretch);
      quarters.push_back({trace, number, std::move(stretch), up});
    }
  }
  return quarters;
}

// Learned from the traces that no quarter is of; where there are none, from the quarters that are not chosen.
Market marketOf(std::string name, const std::vector<const Quarter*>& chosen, const Traces& traces,
                const std::vector<Quarter>& quarters) {
  Market market{.name = std::move(name), .zones = {}, .past = {}};
  std::set<std::size_t> used;
  for (const Quarter* const quarter : chosen) {
    market.zones.push_back(quarter->stretch);
    used.insert(quarter->trace);
  }
  Traces past;
  for (std::size_t trace = 0; trace < traces.size(); ++trace) {
    if (!used.contains(trace)) past.push_back(traces[trace]);
  }
  for (const Quarter& quarter : quarters) {
    if (used.size() < traces.size()) break;
    if (std::find(chosen.begin(), chosen.end(), &quarter) == chosen.end()) past.push_back(quarter.stretch);
  }
  market.past = historiesOf(past);
  return market;
}

}  // namespace

sim::Trace part(const sim::Trace& trace, std::size_t from, std::size_t until) {
  sim::Trace result = trace;
  const auto at = [](auto& values, std::size_t tick) {
    return values.begin() + static_cast<std::ptrdiff_t>(tick);
  };
  result.available.assign(at(trace.available, from), at(trace.available, until));
  if (!trace.prices.empty()) result.prices.assign(at(trace.prices, from), at(trace.prices, until));
  return result;
}

std::vector<schedule::spot::History> historiesOf(const Traces& traces) {
  std::vector<schedule::spot::History> histories;
  for (const sim::Trace& trace : traces) histories.push_back(schedule::spot::historyOf(trace, 1));
  return histories;
}

std::vector<Market> poorMarkets(const Traces& traces) {
  const std::vector<Quarter> quarters = quartersOf(traces);
  std::vector<Market> markets;
  const auto add = [&](const std::string& name, const std::vector<const Quarter*>& chosen) {
    if (chosen.size() == kZones) markets.push_back(marketOf(name, chosen, traces, quarters));
  };
  for (std::size_t trace = 0; trace < traces.size(); ++trace) {
    std::vector<const Quarter*> chosen;
    for (const Quarter& quarter : quarters) {
      if (quarter.trace == trace) chosen.push_back(&quarter);
    }
    add("the quarters of " + traces[trace].zone, chosen);
  }
  std::vector<const Quarter*> poorest;
  for (const Quarter& quarter : quarters) poorest.push_back(&quarter);
  std::sort(poorest.begin(), poorest.end(), [](auto* a, auto* b) { return a->up < b->up; });
  for (std::size_t first = 0; first + kZones <= poorest.size() / 2; first += 2) {
    const auto begin = poorest.begin() + static_cast<std::ptrdiff_t>(first);
    add("the poorest quarters from the " + std::to_string(first + 1) + ". on", {begin, begin + kZones});
  }
  // At the same time, so that what zones have in common counts.
  for (std::size_t number = 0; number < kQuarters; ++number) {
    std::vector<const Quarter*> chosen;
    for (const Quarter* const quarter : poorest) {
      if (quarter->number == number && chosen.size() < kZones) chosen.push_back(quarter);
    }
    add("the four poorest zones of quarter " + std::to_string(number + 1), chosen);
  }
  const std::pair<const char*, sim::MarketModel> generated[] = {
      {"generated, scarce", {.seed = 301, .zones = 4, .ticks = 4000, .up = {1.5, 0.1}, .down = {0.6, 0.06}}},
      {"generated, short-lived",
       {.seed = 302, .zones = 4, .ticks = 4000, .up = {3, 0.4}, .down = {1.5, 0.2}}},
      {"generated, often down together",
       {.seed = 303,
        .zones = 4,
        .ticks = 4000,
        .up = {1, 0.06},
        .down = {0.5, 0.08},
        .shocks = 0.1,
        .shared = 0.9}}};
  for (const auto& [name, model] : generated)
    markets.push_back({.name = name, .zones = sim::generateMarket(model), .past = historiesOf(traces)});
  return markets;
}

std::vector<Draws> poorDraws(const Traces& traces, std::size_t ticks, std::size_t count) {
  std::vector<Draws> all;
  for (const std::size_t odd : {0u, 1u}) {
    Draws draws{.name = {}, .markets = {}, .past = {}};
    Traces past;
    std::vector<const sim::Trace*> tested;
    for (std::size_t trace = 0; trace < traces.size(); ++trace) {
      if (trace % 2 != odd) {
        past.push_back(traces[trace]);
        continue;
      }
      tested.push_back(&traces[trace]);
      draws.name += (draws.name.empty() ? "stretches of " : ", ") + traces[trace].zone;
    }
    sim::Random random(400 + odd);
    while (draws.markets.size() < count) {
      Traces market;
      while (market.size() < kZones) {
        const sim::Trace& trace = *tested[random.below(static_cast<std::uint32_t>(tested.size()))];
        const auto starts = static_cast<std::uint32_t>(trace.available.size() - ticks);
        const std::size_t start = random.below(starts);
        sim::Trace stretch = part(trace, start, start + ticks);
        const double up = upShare(stretch);
        if (up >= 0.1 && up <= 0.7) market.push_back(std::move(stretch));
      }
      draws.markets.push_back(std::move(market));
    }
    draws.past = historiesOf(past);
    all.push_back(std::move(draws));
  }
  return all;
}

std::vector<Market> strangeMarkets(const Traces& traces) {
  const std::pair<const char*, sim::MarketModel> models[] = {
      {"hazards as usual", {.seed = 101, .zones = 3, .ticks = 10'000}},
      {"ticks of an hour",
       {.seed = 102, .zones = 6, .ticks = 2000, .gap = 1h, .up = {0.2, 0.02, 3h}, .down = {0.4, 0.05, 3h}}},
      {"a quarter of the reclaims",
       {.seed = 103, .zones = 3, .ticks = 10'000, .up = {.fresh = 0.25, .settled = 0.012}}},
      {"three times the reclaims",
       {.seed = 104, .zones = 3, .ticks = 10'000, .up = {.fresh = 3, .settled = 0.15}}},
      {"memoryless", {.seed = 105, .zones = 3, .ticks = 10'000, .up = {0.25, 0.25}, .down = {0.5, 0.5}}},
      {"scarce", {.seed = 106, .zones = 3, .ticks = 10'000, .up = {1.5, 0.1}, .down = {0.6, 0.06}}},
      {"abundant", {.seed = 108, .zones = 3, .ticks = 10'000, .up = {0.6, 0.02}, .down = {3, 0.4}}},
      {"a strong daily pattern", {.seed = 109, .zones = 3, .ticks = 10'000, .daily = 0.9}},
      {"long-lived, and long down",
       {.seed = 110, .zones = 3, .ticks = 10'000, .up = {0.1, 0.03, 3h}, .down = {0.3, 0.04, 3h}}}};
  std::vector<Market> markets;
  for (const auto& [name, model] : models)
    markets.push_back({.name = name, .zones = sim::generateMarket(model), .past = historiesOf(traces)});
  return markets;
}

std::vector<Market> drawnMarkets(const Traces& traces, std::size_t count) {
  constexpr Duration kTicks[] = {180s, 195s, 300s, 600s, 1h};
  std::vector<Market> markets;
  for (std::size_t i = 0; i < count; ++i) {
    sim::Random random(sim::mix(500, i));
    const auto drawn = [&](double least, double most) {
      return least * std::exp(random.real() * std::log(most / least));
    };
    sim::MarketModel model{.seed = 600 + i, .zones = 2};
    model.gap = kTicks[random.below(std::size(kTicks))];
    model.ticks = static_cast<std::size_t>(24h * 25 / model.gap);
    const double fresh = model.gap >= 1h ? 0.3 : 1;  // much of what is fresh would pass within a tick
    const auto hazard = [&](double most_fresh, double least, double most) {
      return sim::StateHazard{.fresh = drawn(0.15, most_fresh) * fresh,
                              .settled = drawn(least, most),
                              .settling = std::chrono::duration_cast<Duration>(
                                  std::chrono::duration<double, std::ratio<3600>>(drawn(0.2, 4)))};
    };
    model.up = hazard(4, 0.008, 0.25);
    model.down = hazard(4, 0.02, 0.4);
    model.daily = random.real() * 0.9;
    model.shocks = random.oneIn(2) ? 0.02 : 0;
    markets.push_back({.name = "market " + std::to_string(i + 1),
                       .zones = sim::generateMarket(model),
                       .past = historiesOf(traces)});
  }
  return markets;
}

}  // namespace buoy::bench
