#include "sim/window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;
using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

Trace traceOf(std::vector<std::int32_t> available) {
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

constexpr SpotDecision kWait{}, kSpot{.take = Holding::spot}, kOnDemand{.take = Holding::on_demand};

Window windowOf(Duration work, Duration deadline) {
  return {.work = work,
          .deadline = deadline,
          .changeover = 15min,
          .on_demand_price = {6'000'000'000},
          .spot_price = PricePerHour{1'200'000'000}};
}

TEST(Replay, PaysChangeoversAtTheNewPriceAndBillsToTheSecond) {
  const Trace trace = traceOf({1, 1, 1, 0, 0, 1, 1, 1, 1, 1});
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

TEST(Replay, AMissedDeadlineIsSaidAndEndsOnDemand) {
  const Trace trace = traceOf({0, 0, 0, 0});
  const Trace* traces[] = {&trace};
  Scripted policy({kWait, kWait, kWait, kWait});
  const WindowResult result = replay(windowOf(20min, 40min), traces, policy);
  EXPECT_TRUE(result.missed);
  EXPECT_EQ(result.finish, 75min);
}

TEST(Replay, RecordedPricesAndGangsCount) {
  Trace trace = traceOf({2, 1, 2, 2});
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
  const Trace trace = traceOf({1, 1, 1, 1});
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
