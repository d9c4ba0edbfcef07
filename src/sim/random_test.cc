#include "sim/random.h"

#include <gtest/gtest.h>

#include <cmath>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;

// A seed must mean the same run for ever, on every machine.
TEST(Random, GivesTheSameNumbersEverywhere) {
  Random random(7);
  EXPECT_EQ(random.next(), 12923355070828475994ULL);
  EXPECT_EQ(random.below(1000), 278u);
  EXPECT_EQ(random.exponential(1h).count(), 6'588'920'904);
}

TEST(Random, StaysInItsBounds) {
  Random random(1);
  bool low = false, high = false;
  for (int i = 0; i < 10000; ++i) {
    const std::int64_t value = random.between(-2, 2);
    EXPECT_GE(value, -2);
    EXPECT_LE(value, 2);
    low = low || value == -2;
    high = high || value == 2;
    EXPECT_LT(random.below(3), 3u);
    EXPECT_LT(random.real(), 1.0);
  }
  EXPECT_TRUE(low && high);
  EXPECT_EQ(random.below(0), 0u);
}

TEST(Random, ExponentialTimesHaveTheirMeanAndForgetTheirAge) {
  Random random(3);
  constexpr int kDraws = 200'000;
  double sum = 0, above = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto seconds = static_cast<double>(random.exponential(100s).count()) / 1e6;
    sum += seconds;
    if (seconds > 100) above += 1;
  }
  EXPECT_NEAR(sum / kDraws, 100, 1);
  EXPECT_NEAR(above / kDraws, std::exp(-1), 0.005);
}

}  // namespace
}  // namespace buoy::sim
