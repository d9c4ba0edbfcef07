// policies [TRACE.json]...: what spot policies cost over the omniscient optimum, as Markdown tables. Without
// traces on generated markets. Every table says what the policy buoy had learned from.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "evaluate.h"
#include "schedule/spot/plan.h"
#include "schedule/spot/trace_history.h"
#include "sim/generated_market.h"

namespace {

using namespace buoy;
using namespace buoy::bench;
using namespace std::chrono_literals;
using schedule::spot::History;
using schedule::spot::historyOf;
using schedule::spot::Planner;

constexpr std::size_t kPlans = 20;

using Traces = std::vector<sim::Trace>;

sim::Trace part(const sim::Trace& trace, std::size_t from, std::size_t until) {
  sim::Trace result = trace;
  const auto at = [](auto& values, std::size_t tick) {
    return values.begin() + static_cast<std::ptrdiff_t>(tick);
  };
  result.available.assign(at(trace.available, from), at(trace.available, until));
  if (!trace.prices.empty()) result.prices.assign(at(trace.prices, from), at(trace.prices, until));
  return result;
}

auto upTicks(const sim::Trace& trace) {
  return std::count_if(trace.available.begin(), trace.available.end(), [](int count) { return count > 0; });
}

std::shared_ptr<Planner> plannerOf(std::vector<History> histories) {
  return std::make_shared<Planner>(std::move(histories), kPlans);
}

sim::Window windowOf(Duration deadline, Duration changeover = 12min, double spot_usd = 0.9731) {
  return {.work = 48h,
          .deadline = deadline,
          .changeover = changeover,
          .on_demand_price = {3'060'000'000},
          .spot_price = *priceFromUsd(spot_usd)};
}

enum class Learning { other_zones, other_half, both, everything, nothing };

// One series a zone (and half, where the half matters).
std::vector<Series> oneZone(const Traces& traces, Learning learning, std::size_t every) {
  std::vector<Series> series;
  const std::size_t length = traces.front().available.size(), middle = length / 2;
  const bool halves = learning == Learning::other_half || learning == Learning::both;
  for (const sim::Trace& tested : traces) {
    for (const bool second : {false, true}) {
      if (!halves && second) break;
      std::vector<History> histories;
      for (const sim::Trace& other : traces) {
        if (learning == Learning::nothing) break;
        if (&other == &tested && (learning == Learning::other_zones || learning == Learning::both)) continue;
        histories.push_back(
            historyOf(halves ? part(other, second ? 0 : middle, second ? middle : length) : other, 1));
      }
      series.push_back({.places = {&tested},
                        .planner = plannerOf(std::move(histories)),
                        .from = halves && second ? middle : 0,
                        .until = halves && !second ? middle : length,
                        .every = every});
    }
  }
  return series;
}

void head(const char* what) {
  std::printf(
      "\n%s\n\n| | windows | spot-first | uniform-progress | buoy | buoy below uniform-progress | missed |\n"
      "| --- | --- | --- | --- | --- | --- | --- |\n",
      what);
}
void row(const std::string& name, const Score& score) {
  std::printf("| %s | %d | %.3f | %.3f | **%.3f** | %.1f %% | %d |\n", name.c_str(), score.windows,
              score.spot_first / score.optimum, score.uniform / score.optimum, score.buoy / score.optimum,
              100 * (1 - score.buoy / score.uniform), score.missed);
  std::fflush(stdout);
}

void learningTables(const Traces& traces, std::size_t every) {
  const std::pair<Learning, const char*> ways[] = {
      {Learning::other_zones, "One zone; learned from the other zones"},
      {Learning::other_half, "One zone; learned from the other half of the time"},
      {Learning::both, "One zone; learned from the other half of the time of the other zones"},
      {Learning::everything, "One zone; learned from what it is tested on (not a fair test)"},
      {Learning::nothing, "One zone; learned from nothing"}};
  for (const auto& [learning, title] : ways) {
    head(title);
    const auto series = oneZone(traces, learning, every);
    for (const int hours : {52, 60, 72, 96})
      row("D = " + std::to_string(hours) + " h", evaluate(windowOf(std::chrono::hours{hours}), series));
  }
  head("Each zone at D = 52, 60, 72 and 96 h together; learned from the other zones");
  for (const Series& each : oneZone(traces, Learning::other_zones, every)) {
    Score sum;
    for (const int hours : {52, 60, 72, 96})
      sum.add(evaluate(windowOf(std::chrono::hours{hours}), {&each, 1}));
    row(each.places.front()->zone, sum);
  }
}

void sweeps(const Traces& traces, std::size_t every) {
  const auto series = oneZone(traces, Learning::other_zones, every);
  head("Changeover and price at D = 60 h; learned from the other zones");
  for (const auto& [name, changeover] : {std::pair{"0.05 h", 3min}, {"0.2 h", 12min}, {"0.4 h", 24min}})
    row(std::string("changeover ") + name, evaluate(windowOf(60h, changeover), series));
  for (const double price : {0.4, 0.9731, 1.6, 2.3})
    row("spot at " + std::to_string(price / 3.06).substr(0, 4) + " of on-demand",
        evaluate(windowOf(60h, 12min, price), series));
}

void severalZones(Traces traces, std::size_t every) {
  // The one with the least capacity first.
  std::sort(traces.begin(), traces.end(),
            [](const sim::Trace& a, const sim::Trace& b) { return upTicks(a) < upTicks(b); });
  head("Several zones to choose from; learned from the other half of the time");
  const std::size_t length = traces.front().available.size(), middle = length / 2;
  std::vector<History> past;
  for (const sim::Trace& trace : traces) past.push_back(historyOf(part(trace, 0, middle), 1));
  const auto planner = plannerOf(past);
  for (const int hours : {52, 60}) {
    Score fours;
    for (const sim::Trace& left_out : traces) {
      Series series{.places = {}, .planner = planner, .from = middle, .until = length, .every = every};
      for (const sim::Trace& trace : traces) {
        if (&trace != &left_out) series.places.push_back(&trace);
      }
      fours.add(evaluate(windowOf(std::chrono::hours{hours}), {&series, 1}));
    }
    row("all but one zone, D = " + std::to_string(hours) + " h", fours);
  }
  // The two zones with the least capacity, and the same at another time: four poor ones. Learned from the
  // rest.
  if (traces.size() < 4) return;
  Traces poor;
  for (const std::size_t zone : {0u, 1u}) {
    poor.push_back(part(traces[zone], 0, middle));
    poor.push_back(part(traces[zone], middle, middle * 2));
  }
  std::vector<History> others;
  for (std::size_t zone = 2; zone < traces.size(); ++zone) others.push_back(historyOf(traces[zone], 1));
  Series series{.places = {}, .planner = plannerOf(others), .from = 0, .until = middle, .every = every / 2};
  for (const sim::Trace& trace : poor) series.places.push_back(&trace);
  row("four poor ones, D = 52 h (learned from good ones)", evaluate(windowOf(52h), {&series, 1}));
}

void strangers(const Traces& traces) {
  head("Generated markets unlike those learned from, D = 60 h");
  std::vector<History> past;
  for (const sim::Trace& trace : traces) past.push_back(historyOf(trace, 1));
  const std::pair<const char*, sim::MarketModel> markets[] = {
      {"hazards as usual", {.seed = 101, .zones = 3, .ticks = 10'000}},
      {"ticks of an hour",
       {.seed = 102, .zones = 6, .ticks = 2000, .gap = 1h, .up = {0.2, 0.02, 3h}, .down = {0.4, 0.05, 3h}}},
      {"a quarter of the reclaims",
       {.seed = 103, .zones = 3, .ticks = 10'000, .up = {.fresh = 0.25, .settled = 0.012}}},
      {"three times the reclaims",
       {.seed = 104, .zones = 3, .ticks = 10'000, .up = {.fresh = 3, .settled = 0.15}}},
      {"memoryless", {.seed = 105, .zones = 3, .ticks = 10'000, .up = {0.25, 0.25}, .down = {0.5, 0.5}}},
      {"scarce", {.seed = 106, .zones = 3, .ticks = 10'000, .up = {1.5, 0.1}, .down = {0.6, 0.06}}}};
  for (const auto& [name, model] : markets) {
    const Traces market = sim::generateMarket(model);
    const auto planner = plannerOf(past);
    std::vector<Series> series;
    for (const sim::Trace& trace : market)
      series.push_back({.places = {&trace},
                        .planner = planner,
                        .from = 0,
                        .until = model.ticks,
                        .every = model.ticks / 25});
    row(name, evaluate(windowOf(60h), series));
  }
  const Traces market = sim::generateMarket({.seed = 107, .zones = 3, .ticks = 10'000, .most = 8});
  const auto planner = plannerOf(past);
  std::vector<Series> series;
  for (const sim::Trace& trace : market)
    series.push_back({.places = {&trace}, .planner = planner, .from = 0, .until = 10'000, .every = 400});
  sim::Window gang = windowOf(60h);
  gang.machines = 4;
  row("gangs of 4 of up to 8 machines", evaluate(gang, series));
}

void speed() {
  std::puts("\n| plan for 48 h of work | solved in |\n| --- | --- |");
  const auto model = schedule::spot::AvailabilityModel::learn({});
  for (const int hours : {52, 60, 72, 96}) {
    const auto begin = std::chrono::steady_clock::now();
    const schedule::spot::Plan plan(model, {.time = std::chrono::hours{hours},
                                            .slack = std::chrono::hours{hours - 48},
                                            .step = 195s,
                                            .changeover = 12min,
                                            .on_demand_price = 3.06,
                                            .spot_price = 0.9731});
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    std::printf("| D = %d h | %.0f ms |\n", hours, took.count());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Traces traces;
  for (int i = 1; i < argc; ++i) {
    std::ostringstream text;
    text << std::ifstream(argv[i]).rdbuf();
    auto trace = sim::parseTrace(text.str());
    if (!trace) {
      std::fprintf(stderr, "policies: %s: %s\n", argv[i], trace.error().message.c_str());
      return 1;
    }
    traces.push_back(std::move(*trace));
  }
  std::printf(
      "Cost over the omniscient optimum, both summed over all windows: 48 h of work, on-demand at 3.06, spot "
      "at\n"
      "0.9731 USD an hour, a changeover of 12 min unless told. Markets: %s.\n",
      traces.empty() ? "generated" : "recorded");
  if (traces.empty()) traces = sim::generateMarket({.seed = 1, .zones = 5, .ticks = 8000});
  const std::size_t every = 300;
  speed();
  learningTables(traces, every);
  sweeps(traces, every);
  severalZones(traces, every);
  strangers(traces);
}
