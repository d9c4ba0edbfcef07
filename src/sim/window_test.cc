#include "sim/window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/generated_market.h"

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;
using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

Trace recorded(std::vector<std::int32_t> available) {
  Trace trace;
  trace.gap = 10min;
  trace.available = std::move(available);
  return trace;
}

// Says what it was told to say, one answer a tick, and keeps what it saw.
class Scripted final : public engine::SpotPolicy {
 public:
  explicit Scripted(std::vector<SpotDecision> script) : script_(std::move(script)) {}
  std::string_view name() const override { return "scripted"; }
  SpotDecision decide(const SpotView& view) override {
    ages.push_back(view.candidates[0].past.back().length);
    spans.push_back(view.candidates[0].past.size());
    held.push_back(view.holding);
    return script_.at(ages.size() - 1);
  }
  std::vector<Duration> ages;
  std::vector<std::size_t> spans;
  std::vector<Holding> held;

 private:
  std::vector<SpotDecision> script_;
};

// Spot while there is any.
class Eager final : public engine::SpotPolicy {
 public:
  std::string_view name() const override { return "eager"; }
  SpotDecision decide(const SpotView& view) override {
    return view.candidates[0].up() ? SpotDecision{.take = Holding::spot} : SpotDecision{};
  }
};

constexpr SpotDecision kWait{}, kSpot{.take = Holding::spot}, kOnDemand{.take = Holding::on_demand};

Window windowOf(Duration work, Duration deadline) {
  return {.work = work,
          .deadline = deadline,
          .changeover = 15min,
          .on_demand_price = {6'000'000'000},
          .spot_price = PricePerHour{1'200'000'000}};
}

TEST(Replay, PaysChangeoversAtTheNewPriceAndBillsToTheSecond) {
  const Trace trace = recorded({1, 1, 1, 0, 0, 1, 1, 1, 1, 1});
  const Trace* traces[] = {&trace};
  // Spot: 15 min of changeover and 15 of work before it is lost; 10 min of waiting; on-demand from there.
  Scripted policy({kSpot, kSpot, kSpot, kWait, kOnDemand, kOnDemand, kOnDemand, kOnDemand});
  const WindowResult result = replay(windowOf(33min, 100min), traces, policy);
  EXPECT_EQ(result.finish, 40min + 15min + 18min);
  EXPECT_EQ(result.cost.nano_usd, 600'000'000 + 3'300'000'000) << "30 min at 1.2, 33 min at 6.0";
  EXPECT_EQ(result.changes, 2u);
  EXPECT_EQ(result.preemptions, 1u);
  EXPECT_FALSE(result.missed);
  EXPECT_EQ(policy.held[3], Holding::nothing) << "the loss is seen at the tick where it happens";
  EXPECT_THAT(policy.ages, ::testing::ElementsAre(0min, 10min, 20min, 0min, 10min, 0min, 10min, 20min));
  EXPECT_THAT(policy.spans, ::testing::ElementsAre(1, 1, 1, 2, 2, 3, 3, 3));
}

TEST(Replay, WorkSinceTheLastSaveIsDoneAgainAfterAReclaimWithoutNotice) {
  const Trace trace = recorded({1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
  const Trace* traces[] = {&trace};
  const auto run = [&](Window window) {
    Scripted policy({kSpot, kSpot, kSpot, kSpot, kOnDemand, kOnDemand, kOnDemand, kOnDemand, kOnDemand,
                     kOnDemand, kOnDemand, kOnDemand});
    return replay(window, traces, policy);
  };
  // 25 min of work until the loss at 40 min: the last save was at 18.
  Window window = windowOf(30min, 120min);
  window.saves = {.interval = 9min, .cost = 0min, .unnoticed = 1};
  EXPECT_EQ(run(window).redone, 7min);
  EXPECT_EQ(run(window).finish, 40min + 15min + 5min + 7min);
  window.saves->unnoticed = 0;
  EXPECT_EQ(run(window).redone, 0min);
  EXPECT_EQ(run(window).finish, 40min + 15min + 5min);
  // Three saves on the way take a minute each.
  window.saves->cost = 1min;
  EXPECT_EQ(runningTime(window), 33min);
  EXPECT_EQ(run(window).finish, 40min + 15min + 8min);
  // Whoever never saves begins again, told or not.
  window.saves = {.interval = Saves::kNever};
  EXPECT_EQ(run(window).redone, 25min);
  EXPECT_EQ(run(window).finish, 40min + 15min + 30min);
}

TEST(Replay, ChanceDecidesWhichReclaimsComeWithoutNoticeAndTheSeedChance) {
  const auto market = generateMarket({.seed = 3, .ticks = 2000, .up = {.fresh = 2, .settled = 1}});
  const Trace* traces[] = {&market.front()};
  Window window = windowOf(24h, 90h);
  const auto redone = [&](double unnoticed, std::uint64_t seed) {
    window.saves = {.interval = 30min, .cost = 0min, .unnoticed = unnoticed, .seed = seed};
    Eager policy;
    return replay(window, traces, policy).redone;
  };
  EXPECT_EQ(redone(0.5, 1), redone(0.5, 1));
  EXPECT_NE(redone(0.5, 1), redone(0.5, 2));
  EXPECT_LT(redone(0.2, 1), redone(1, 1));
}

TEST(Replay, AMissedDeadlineIsSaidAndEndsOnDemand) {
  const Trace trace = recorded({0, 0, 0, 0});
  const Trace* traces[] = {&trace};
  Scripted policy({kWait, kWait, kWait, kWait});
  const WindowResult result = replay(windowOf(20min, 40min), traces, policy);
  EXPECT_TRUE(result.missed);
  EXPECT_EQ(result.finish, 75min);
}

TEST(Replay, RecordedPricesAndGangsCount) {
  Trace trace = recorded({2, 1, 2, 2});
  trace.prices = {{600'000'000}, {1'200'000'000}, {1'800'000'000}, {2'400'000'000}};
  const Trace* traces[] = {&trace};
  Window window = windowOf(15min, 40min);
  window.changeover = 0min;
  window.spot_price.reset();
  Scripted one({kSpot, kSpot});
  EXPECT_EQ(replay(window, traces, one).cost.nano_usd, 100'000'000 + 100'000'000);
  window.machines = 2;
  Scripted two({kSpot, kWait, kSpot});
  const WindowResult gang = replay(window, traces, two);
  EXPECT_EQ(gang.cost.nano_usd, 2 * (100'000'000 + 150'000'000));
  EXPECT_EQ(gang.preemptions, 1u);
}

TEST(Window, WhatCannotBeReplayedIsRefused) {
  const Trace trace = recorded({1, 1, 1, 1});
  Trace slower = trace;
  slower.gap = 20min;
  const Trace* traces[] = {&trace};
  const Trace* mixed[] = {&trace, &slower};
  const auto why = [](const Window& window, std::span<const Trace* const> given) {
    const Status status = validate(window, given);
    return status ? std::string() : status.error().message;
  };
  using ::testing::HasSubstr;
  EXPECT_EQ(why(windowOf(20min, 40min), traces), "");
  EXPECT_THAT(why(windowOf(20min, 41min), traces), HasSubstr("has 4 ticks"));
  EXPECT_THAT(why(windowOf(20min, 34min), traces), HasSubstr("35m"));
  EXPECT_THAT(why(windowOf(0min, 34min), traces), HasSubstr("above zero"));
  EXPECT_THAT(why(windowOf(10min, 40min), mixed), HasSubstr("must be the same"));
  EXPECT_THAT(why(windowOf(10min, 40min), {}), HasSubstr("no trace"));
  Window recorded = windowOf(20min, 40min);
  recorded.spot_price.reset();
  EXPECT_THAT(why(recorded, traces), HasSubstr("no prices"));
}

}  // namespace
}  // namespace buoy::sim
