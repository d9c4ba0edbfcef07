#include "sim/generated_market.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace buoy::sim {
namespace {

double upShare(const Trace& trace) {
  const auto up = std::count_if(trace.available.begin(), trace.available.end(), [](int n) { return n > 0; });
  return static_cast<double>(up) / static_cast<double>(trace.available.size());
}

TEST(GeneratedMarket, IsTheSameForTheSameSeed) {
  const auto once = generateMarket({.seed = 5, .zones = 2, .ticks = 500});
  const auto again = generateMarket({.seed = 5, .zones = 2, .ticks = 500});
  const auto other = generateMarket({.seed = 6, .zones = 2, .ticks = 500});
  ASSERT_EQ(once.size(), 2u);
  EXPECT_EQ(once[1].available, again[1].available);
  EXPECT_EQ(once[1].prices, again[1].prices);
  EXPECT_NE(once[0].available, other[0].available);
  EXPECT_NE(once[0].available, once[1].available);
}

TEST(GeneratedMarket, HasTheShareThatItsHazardsMean) {
  const StateHazard constant_up{.fresh = 0.2, .settled = 0.2}, constant_down{.fresh = 0.6, .settled = 0.6};
  const auto traces =
      generateMarket({.ticks = 400'000, .up = constant_up, .down = constant_down, .daily = 0, .shocks = 0});
  EXPECT_NEAR(upShare(traces[0]), 0.75, 0.02);
}

TEST(GeneratedMarket, ShocksTakeZonesTogether) {
  const StateHazard calm{.fresh = 0.001, .settled = 0.001}, quick{.fresh = 2, .settled = 2};
  const auto traces =
      generateMarket({.zones = 2, .ticks = 100'000, .up = calm, .down = quick, .shocks = 0.2, .shared = 1});
  std::size_t down = 0, both = 0;
  for (std::size_t tick = 1; tick < 100'000; ++tick) {
    if (traces[0].up(tick) || !traces[0].up(tick - 1)) continue;
    ++down;
    if (!traces[1].up(tick)) ++both;
  }
  EXPECT_GT(down, 500u);
  EXPECT_GT(both, down * 9 / 10);
}

TEST(GeneratedMarket, CapacityStaysWithinItsBounds) {
  const auto traces = generateMarket({.ticks = 20'000, .most = 6});
  const auto [low, high] = std::minmax_element(traces[0].available.begin(), traces[0].available.end());
  EXPECT_EQ(*low, 0);
  EXPECT_EQ(*high, 6);
  EXPECT_GT(traces[0].prices.front().nano_usd, 0);
}

}  // namespace
}  // namespace buoy::sim
