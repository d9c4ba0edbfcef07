// policies [TRACE.json]...: what spot policies cost over the omniscient optimum, as Markdown tables. Without
// traces on generated markets. Every table says what the policy buoy had learned from.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <string>

#include "evaluate.h"
#include "markets.h"
#include "schedule/spot/plan.h"
#include "schedule/spot/policies.h"
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
  for (const double ratio : {0.2, 0.318, 0.5, 0.7})
    row("spot at " + std::to_string(ratio).substr(0, 5) + " of on-demand",
        evaluate(windowOf(60h, 12min, ratio * 3.06), series));
}

Score onZones(const Market& market, const sim::Window& window, bool together, std::size_t every) {
  const auto planner = plannerOf(market.past);
  std::vector<Series> series;
  const std::size_t length = market.zones.front().available.size();
  for (const sim::Trace& zone : market.zones) {
    if (series.empty() || !together)
      series.push_back({.places = {}, .planner = planner, .from = 0, .until = length, .every = every});
    series.back().places.push_back(&zone);
  }
  return evaluate(window, series);
}

void severalZones(const Traces& traces, std::size_t every) {
  head("Several zones to choose from; learned from the other half of the time");
  const std::size_t length = traces.front().available.size(), middle = length / 2;
  Traces past;
  for (const sim::Trace& trace : traces) past.push_back(part(trace, 0, middle));
  const auto planner = plannerOf(historiesOf(past));
  for (const int hours : {52, 60}) {
    Score all_but_one;
    for (const sim::Trace& left_out : traces) {
      Series series{.places = {}, .planner = planner, .from = middle, .until = length, .every = every};
      for (const sim::Trace& trace : traces) {
        if (&trace != &left_out) series.places.push_back(&trace);
      }
      all_but_one.add(evaluate(windowOf(std::chrono::hours{hours}), {&series, 1}));
    }
    row("all but one zone, D = " + std::to_string(hours) + " h", all_but_one);
  }
}

void poorZones(const Traces& traces, std::size_t every) {
  head("Four poor zones, D = 52 h; learned from others");
  Score all;
  for (const Market& market : poorMarkets(traces)) {
    const Score score = onZones(market, windowOf(52h), true, every / 4);
    row(market.name, score);
    all.add(score);
  }
  row("all of these", all);
}

void poorStretches(const Traces& traces) {
  const sim::Window window = windowOf(52h);
  const auto ticks = static_cast<std::size_t>(window.deadline / traces.front().gap + 1);
  head("Four zones of poor stretches drawn at random, D = 52 h; learned from the other zones");
  Score all;
  for (const Draws& draws : poorDraws(traces, ticks, 150)) {
    const auto planner = plannerOf(draws.past);
    std::vector<Series> series;
    for (const Traces& market : draws.markets) {
      series.push_back({.places = {}, .planner = planner, .from = 0, .until = ticks, .every = ticks});
      for (const sim::Trace& zone : market) series.back().places.push_back(&zone);
    }
    const Score score = evaluate(window, series);
    row(draws.name, score);
    all.add(score);
  }
  row("all of these", all);
}

// Each market at every deadline, and every deadline over all markets.
void onStrangers(const std::vector<Market>& markets, std::size_t starts) {
  constexpr std::array kHours{52, 60, 72, 96};
  std::array<Score, kHours.size()> by_deadline;
  Score all;
  for (const Market& market : markets) {
    Score here;
    for (std::size_t i = 0; i < kHours.size(); ++i) {
      const Score score = onZones(market, windowOf(std::chrono::hours{kHours[i]}), false,
                                  market.zones.front().available.size() / starts);
      here.add(score);
      by_deadline[i].add(score);
    }
    row(market.name, here);
    all.add(here);
  }
  for (std::size_t i = 0; i < kHours.size(); ++i)
    row("all of these, D = " + std::to_string(kHours[i]) + " h", by_deadline[i]);
  row("all of these", all);
}

void strangers(const Traces& traces) {
  head("Generated markets unlike those learned from, D = 52, 60, 72 and 96 h together");
  auto markets = strangeMarkets(traces);
  onStrangers(markets, 25);
  head("The same; learned from what they are tested on (not a fair test)");
  for (Market& market : markets) market.past = historiesOf(market.zones);
  onStrangers(markets, 25);
  head("Generated markets, drawn at random; D = 52, 60, 72 and 96 h together");
  onStrangers(drawnMarkets(traces, 15), 10);
  head("Gangs, D = 60 h");
  Market gangs{.name = "gangs of 4 of up to 8 machines",
               .zones = sim::generateMarket({.seed = 107, .zones = 3, .ticks = 10'000, .most = 8}),
               .past = historiesOf(traces)};
  sim::Window gang = windowOf(60h);
  gang.machines = 4;
  row(gangs.name, onZones(gangs, gang, false, 400));
}

std::int64_t microsecondsOf(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin)
      .count();
}

void speed() {
  std::puts(
      "\n| plan for 48 h of work | solved in | memory while solving | kept |\n| --- | --- | --- | --- |");
  Planner planner({});
  for (const std::size_t zones : {1u, 4u}) {
    const auto& model = planner.model(zones);
    for (const int hours : {52, 60, 72, 96}) {
      std::size_t peak = 0, kept = 0;
      const auto took = microsecondsOf([&] {
        const schedule::spot::Plan plan(model, {.time = std::chrono::hours{hours},
                                                .slack = std::chrono::hours{hours - 48},
                                                .step = 195s,
                                                .changeover = 12min,
                                                .on_demand_price = 3.06,
                                                .spot_price = 0.9731});
        peak = plan.peakBytes();
        kept = plan.keptBytes();
      });
      std::printf("| D = %d h, %zu zone%s | %.0f ms | %.1f MiB | %.1f MiB |\n", hours, zones,
                  zones == 1 ? "" : "s", static_cast<double>(took) / 1e3, static_cast<double>(peak) / 1048576,
                  static_cast<double>(kept) / 1048576);
    }
  }
}

// Counts decisions, and the longest one that needed no new plan.
class Timed final : public engine::SpotPolicy {
 public:
  Timed(std::unique_ptr<engine::SpotPolicy> policy, const Planner& planner)
      : policy_(std::move(policy)), planner_(planner) {}
  std::string_view name() const override { return policy_->name(); }
  engine::SpotDecision decide(const engine::SpotView& view) override {
    const std::size_t solved = planner_.solved();
    engine::SpotDecision decision;
    const auto begin = std::chrono::steady_clock::now();
    decision = policy_->decide(view);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    if (planner_.solved() == solved) micros.push_back(took.count());
    return decision;
  }
  std::vector<double> micros;

 private:
  std::unique_ptr<engine::SpotPolicy> policy_;
  const Planner& planner_;
};

void decisions(const Traces& traces) {
  std::puts(
      "\n| a decision | decisions | mean | 99 of 100 within | plans solved |\n| --- | --- | --- | --- | --- "
      "|");
  for (const std::size_t zones : {std::size_t{1}, std::min<std::size_t>(4, traces.size())}) {
    const auto planner = plannerOf(historiesOf(traces));
    std::vector<const sim::Trace*> places;
    for (std::size_t zone = 0; zone < zones; ++zone) places.push_back(&traces[zone]);
    std::vector<double> micros;
    for (std::size_t start = 0; start < 10; ++start) {
      sim::Window window = windowOf(60h);
      window.start_tick = start * 500;
      Timed timed(*schedule::spot::makePolicy("buoy", planner), *planner);
      sim::replay(window, places, timed);
      micros.insert(micros.end(), timed.micros.begin(), timed.micros.end());
    }
    std::sort(micros.begin(), micros.end());
    const double mean =
        std::accumulate(micros.begin(), micros.end(), 0.0) / static_cast<double>(micros.size());
    std::printf("| of %zu zone%s | %zu | %.1f us | %.1f us | %zu |\n", zones, zones == 1 ? "" : "s",
                micros.size(), mean, micros[micros.size() * 99 / 100], planner->solved());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Traces traces;
  std::string_view only;  // --only=WORD: the tables of one function below
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--only=")) {
      only = word.substr(7);
      continue;
    }
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
  const auto wanted = [&](std::string_view name) { return only.empty() || only == name; };
  if (wanted("speed")) speed();
  if (wanted("decisions")) decisions(traces);
  if (wanted("learning")) learningTables(traces, every);
  if (wanted("sweeps")) sweeps(traces, every);
  if (wanted("zones")) severalZones(traces, every);
  if (wanted("poor")) poorZones(traces, every);
  if (wanted("stretches")) poorStretches(traces);
  if (wanted("strangers")) strangers(traces);
}
