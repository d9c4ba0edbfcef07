#include "sim/optimum.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/generated_market.h"
#include "sim/random.h"

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;
using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

// The digits of a number, one a tick: 0 waits, 1 is on-demand, 2 + i is spot of trace i, if it is up.
class Digits final : public engine::SpotPolicy {
 public:
  Digits(std::uint64_t digits, std::uint64_t base) : digits_(digits), base_(base) {}
  std::string_view name() const override { return "digits"; }
  SpotDecision decide(const SpotView& view) override {
    const std::uint64_t digit = digits_ % base_;
    digits_ /= base_;
    if (digit == 0) return {};
    if (digit == 1) return {.take = Holding::on_demand};
    if (!view.candidates[digit - 2].up()) return {};
    return {.take = Holding::spot, .candidate = digit - 2};
  }

 private:
  std::uint64_t digits_, base_;
};

// The cheapest of every sequence of answers there is: knows nothing of how the program works.
Money bruteForce(const Window& window, std::span<const Trace* const> traces, std::size_t ticks) {
  const std::uint64_t base = traces.size() + 2;
  std::uint64_t sequences = 1;
  for (std::size_t i = 0; i < ticks; ++i) sequences *= base;
  Money best{1'000'000'000'000'000};
  for (std::uint64_t digits = 0; digits < sequences; ++digits) {
    Digits policy(digits, base);
    const WindowResult result = replay(window, traces, policy);
    if (!result.missed) best = std::min(best, result.cost);
  }
  return best;
}

struct Shape {
  std::size_t zones, ticks;
  Duration work, deadline, changeover;
  std::int32_t machines;
};

TEST(Optimum, IsTheCheapestOfAllSequencesOfDecisions) {
  const Shape shapes[] = {
      {1, 8, 40min, 80min, 15min, 1}, {1, 8, 37min, 76min, 15min, 1}, {1, 8, 33min, 80min, 4min, 2},
      {2, 6, 25min, 58min, 10min, 1}, {2, 6, 31min, 60min, 0min, 1},  {3, 5, 14min, 47min, 15min, 2},
  };
  for (const Shape& shape : shapes) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const auto market = generateMarket({.seed = seed,
                                          .zones = shape.zones,
                                          .ticks = shape.ticks,
                                          .gap = 10min,
                                          .up = {.fresh = 2, .settled = 1},
                                          .down = {.fresh = 4, .settled = 2},
                                          .most = 3});
      std::vector<const Trace*> traces;
      for (const Trace& trace : market) traces.push_back(&trace);
      const Window window{.work = shape.work,
                          .deadline = shape.deadline,
                          .changeover = shape.changeover,
                          .on_demand_price = market[0].on_demand_price,
                          .machines = shape.machines};
      ASSERT_TRUE(validate(window, traces));
      const auto optimum = optimalCost(window, traces);
      ASSERT_TRUE(optimum);
      EXPECT_EQ(optimum->nano_usd, bruteForce(window, traces, shape.ticks).nano_usd)
          << shape.zones << " zones, seed " << seed;
      const auto run = optimalRun(window, traces);
      ASSERT_TRUE(run);
      EXPECT_EQ(run->cost, *optimum);
      EXPECT_FALSE(run->missed);
    }
  }
}

TEST(Optimum, SaysWhatItCannotDo) {
  Trace trace;
  trace.gap = 195s;
  trace.available.assign(20'000, 1);
  const Window window{.work = 700h,
                      .deadline = 1000h,
                      .changeover = Duration{719'999'999},  // nothing in common with 195 s but a microsecond
                      .on_demand_price = {3'000'000'000},
                      .spot_price = PricePerHour{1'000'000'000}};
  const Trace* traces[] = {&trace};
  ASSERT_TRUE(validate(window, traces));
  EXPECT_FALSE(optimalCost(window, traces));
  EXPECT_FALSE(optimalRun(window, traces));
}

}  // namespace
}  // namespace buoy::sim
