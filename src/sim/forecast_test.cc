#include "sim/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/generated_market.h"
#include "sim/optimum.h"

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

Trace traceOf(std::size_t ticks) {
  Trace trace;
  trace.gap = 10min;
  trace.available.assign(ticks, 1);
  return trace;
}

TEST(StartTicks, LieEvenlyWhereTheWindowFits) {
  const Trace trace = traceOf(100), shorter = traceOf(60);
  const Trace* traces[] = {&trace, &shorter};
  const Window window{.deadline = 195min};  // 20 ticks, so 41 starts
  const auto starts = startTicks(window, traces, 4, 1);
  ASSERT_EQ(starts.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_GE(starts[i], i * 41 / 4);
    EXPECT_LT(starts[i], (i + 1) * 41 / 4);
  }
  EXPECT_EQ(startTicks(window, traces, 4, 1), starts);
  EXPECT_NE(startTicks(window, traces, 4, 2), starts);
  const auto all = startTicks(window, traces, 1000, 1);
  EXPECT_EQ(all.size(), 41u);
  EXPECT_EQ(all.back(), 40u);
  EXPECT_TRUE(startTicks({.deadline = 11h}, traces, 4, 1).empty());
}

TEST(Distribution, TellsRanks) {
  const Distribution costs({4, 1, 3, 2});
  EXPECT_EQ(costs.least(), 1);
  EXPECT_EQ(costs.quantile(0.5), 2);
  EXPECT_EQ(costs.quantile(0.51), 3);
  EXPECT_EQ(costs.quantile(0.95), 4);
  EXPECT_EQ(costs.quantile(0), 1);
  EXPECT_EQ(costs.mean(), 2.5);
  EXPECT_THAT(costs.values(), ElementsAre(1, 2, 3, 4));
}

TEST(Outlook, SumsUpWhatHappened) {
  const WindowResult runs[] = {
      {.cost = {2'000'000'000},
       .finish = 3h,
       .changes = 1,
       .preemptions = 0,
       .redone = 30min,
       .missed = false},
      {.cost = {4'000'000'000}, .finish = 5h, .changes = 4, .preemptions = 3, .redone = 0h, .missed = true}};
  const Outlook outlook(runs);
  EXPECT_EQ(outlook.cost.mean(), 3);
  EXPECT_EQ(outlook.finish.most(), 5);
  EXPECT_EQ(outlook.met, 0.5);
  EXPECT_EQ(outlook.launches, 2.5);
  EXPECT_EQ(outlook.reclaims, 1.5);
  EXPECT_EQ(outlook.redone, 0.25);
}

TEST(Simplified, NeverHasALongerChangeoverNorADearerOptimum) {
  const auto market = generateMarket({.seed = 4, .zones = 2, .ticks = 400});
  const Trace* traces[] = {&market[0], &market[1]};
  Window window{.work = 8h,
                .deadline = 11h,
                .changeover = 7min + 13s,
                .on_demand_price = {3'000'000'000},
                .spot_price = PricePerHour{1'000'000'000}};
  const Window simple = simplified(window, 195s);
  EXPECT_LT(simple.changeover, window.changeover);
  EXPECT_GT(simple.changeover, window.changeover - 13s);
  for (window.start_tick = 0; window.start_tick < 180; window.start_tick += 60) {
    Window other = simple;
    other.start_tick = window.start_tick;
    EXPECT_LE(*optimalCost(other, traces), *optimalCost(window, traces));
  }
  window.changeover = 12min;
  EXPECT_EQ(simplified(window, 195s).changeover, 12min) << "15 s in common";
}

}  // namespace
}  // namespace buoy::sim
