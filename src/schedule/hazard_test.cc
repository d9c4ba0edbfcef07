#include "schedule/hazard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace buoy::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using End = MachineLife::End;

TEST(Hazard, IsAStepFunctionOfTheAge) {
  const Hazard hazard = usualSpotHazard();
  EXPECT_DOUBLE_EQ(hazard.perHour(minutes{0}), 1.1);
  EXPECT_DOUBLE_EQ(hazard.perHour(minutes{11}), 1.1);
  EXPECT_DOUBLE_EQ(hazard.perHour(minutes{12}), 0.9);
  EXPECT_DOUBLE_EQ(hazard.perHour(hours{1000}), 0.04);
  EXPECT_EQ(hazard.nextStep(minutes{0}), minutes{12});
  EXPECT_EQ(hazard.nextStep(minutes{12}), minutes{30});
  EXPECT_EQ(hazard.nextStep(hours{16}), Duration::max());
  EXPECT_DOUBLE_EQ(Hazard{}.perHour(hours{1}), 0);
  EXPECT_EQ(Hazard{}.nextStep(hours{1}), Duration::max());
}

TEST(Hazard, TheMeanIsThatOfTheLives) {
  EXPECT_DOUBLE_EQ(Hazard{}.meanPerHour(), 0);
  const Hazard constant{.steps = {{minutes{0}, 0.5}}, .unnoticed = 1};
  EXPECT_DOUBLE_EQ(constant.meanPerHour(), 0.5);
  const Hazard stepped{.steps = {{minutes{0}, 2}, {hours{1}, 0.5}}, .unnoticed = 1};
  // (1 − e⁻²)/2 + e⁻²/0.5 hours
  EXPECT_NEAR(1 / stepped.meanPerHour(), (1 - std::exp(-2)) / 2 + std::exp(-2) / 0.5, 1e-9);
}

TEST(Hazard, WithoutLivesItIsWhatIsAssumed) {
  const Hazard learned = HazardLearner().estimate();
  for (const auto& step : usualSpotHazard().steps)
    EXPECT_NEAR(learned.perHour(step.from), step.per_hour, 1e-9);
  EXPECT_DOUBLE_EQ(learned.unnoticed, 0.05);
}

TEST(Hazard, FewLivesChangeLittle) {
  HazardLearner learner;
  learner.add({minutes{5}, End::unnoticed});
  const Hazard learned = learner.estimate();
  EXPECT_LT(learned.perHour(minutes{0}), 1.1 * 1.35);
  EXPECT_GT(learned.perHour(minutes{0}), 1.1);
  EXPECT_LT(learned.unnoticed, 0.1);
}

// Machines that are taken at a known rate at each age, half of them without notice.
TEST(Hazard, ManyLivesSayAll) {
  std::mt19937_64 random(7);
  std::exponential_distribution<double> young(2.0), old(0.1);
  HazardLearner learner;
  for (int i = 0; i < 3000; ++i) {
    // Two an hour in the first hour, 0.1 thereafter; given back after ten hours.
    double lived = young(random);
    if (lived > 1) lived = 1 + old(random);
    const bool taken = lived < 10;
    const auto life = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double, std::ratio<3600>>(std::min(lived, 10.0)));
    learner.add({life, !taken ? End::given_back : i % 2 == 0 ? End::noticed : End::unnoticed});
  }
  const Hazard learned = learner.estimate();
  EXPECT_NEAR(learned.perHour(minutes{5}), 2, 0.2);
  EXPECT_NEAR(learned.perHour(minutes{45}), 2, 0.3);
  EXPECT_NEAR(learned.perHour(hours{5}), 0.1, 0.03);
  EXPECT_NEAR(learned.unnoticed, 0.5, 0.05);
}

TEST(Hazard, ALongCalmLowersIt) {
  HazardLearner learner;
  for (int i = 0; i < 100; ++i) learner.add({hours{48}, End::given_back});
  EXPECT_LT(learner.estimate().perHour(hours{20}), 0.001);
}

}  // namespace
}  // namespace buoy::schedule
