#include "schedule/checkpoint_interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace buoy::schedule {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

double minutesOf(Duration duration) {
  return std::chrono::duration<double, std::ratio<60>>(duration).count();
}

TEST(CheckpointInterval, DalysHigherOrderGivesThePublishedFigures) {
  EXPECT_NEAR(minutesOf(dalyInterval(minutes{5}, hours{24})), 117, 0.5);
  EXPECT_NEAR(minutesOf(dalyInterval(minutes{5}, hours{6})), 57, 0.5);
  EXPECT_NEAR(minutesOf(dalyInterval(minutes{5}, minutes{15})), 9.1, 0.05);
}

TEST(CheckpointInterval, YoungIsTheFirstTerm) {
  EXPECT_NEAR(minutesOf(youngInterval(minutes{5}, hours{24})), 120, 1e-6);
  EXPECT_NEAR(minutesOf(dalyInterval(milliseconds{1}, hours{24})) /
                  minutesOf(youngInterval(milliseconds{1}, hours{24})),
              1, 1e-3);
}

TEST(CheckpointInterval, ASaveLongerThanTwoLivesIsNotWorthAnother) {
  EXPECT_EQ(dalyInterval(hours{3}, hours{1}), hours{1});
  EXPECT_EQ(dalyInterval(hours{2}, hours{1}), hours{1});
}

// The part of its time that a job loses to saves and to work done again, by simulation of the model's own
// assumption: exponential losses.
double lost(double interval, double save, double mtbf) {
  // Expected time for one interval's work with restarts at once: (e^{(τ+δ)/M} − 1)·M.
  return (std::exp((interval + save) / mtbf) - 1) * mtbf / interval - 1;
}

TEST(CheckpointInterval, NoOtherIntervalLosesMuchLess) {
  for (const int mtbf : {15, 60, 360, 1440}) {
    const double chosen = minutesOf(dalyInterval(minutes{5}, minutes{mtbf}));
    const double cost = lost(chosen, 5, mtbf);
    for (double factor = 0.3; factor < 3; factor *= 1.1) {
      EXPECT_LT(cost, lost(chosen * factor, 5, mtbf) * 1.01) << mtbf << " min, × " << factor;
    }
  }
}

IntervalInputs inputs() {
  IntervalInputs inputs;
  inputs.hazard = usualSpotHazard();
  inputs.save.bytes = 100 << 20;
  inputs.save.bytes_per_second = 50 << 20;
  inputs.save.took = seconds{4};
  inputs.save.wrote = seconds{3};
  inputs.save.notice = seconds{120};
  return inputs;
}

TEST(CheckpointInterval, TheCostIsWhatHoldsTheJobUp) {
  EXPECT_EQ(chooseInterval(inputs()).cost, seconds{4});
}

TEST(CheckpointInterval, OldMachinesSaveLessOften) {
  IntervalInputs given = inputs();
  const auto young = chooseInterval(given);
  given.age = hours{20};
  const auto old = chooseInterval(given);
  EXPECT_DOUBLE_EQ(young.losses_per_hour, 1.1);
  EXPECT_DOUBLE_EQ(old.losses_per_hour, 0.04);
  EXPECT_GT(old.interval, young.interval * 4);
}

TEST(CheckpointInterval, WhereASaveFitsIntoTheNoticeOnlyTheOthersCount) {
  IntervalInputs given = inputs();
  given.saves_at_notice = true;
  const auto covered = chooseInterval(given);
  EXPECT_TRUE(covered.notice_covers);
  EXPECT_DOUBLE_EQ(covered.losses_per_hour, 1.1 * 0.05);

  given.save.bytes = std::uint64_t{20} << 30;  // 400 s at 50 MiB/s
  EXPECT_FALSE(chooseInterval(given).notice_covers);
  given = inputs();
  given.saves_at_notice = true;
  given.save.notice = Duration{};
  EXPECT_FALSE(chooseInterval(given).notice_covers) << "no notice is given here";
  given.save.notice = seconds{6};
  EXPECT_FALSE(chooseInterval(given).notice_covers) << "it is written and stored in 7 s";
  given = inputs();
  EXPECT_FALSE(chooseInterval(given).notice_covers) << "the job does not save at the signal";
}

TEST(CheckpointInterval, ItIsNeverShorterThanASave) {
  IntervalInputs given = inputs();
  given.hazard.steps = {{Duration{}, 3600.0}};
  EXPECT_EQ(chooseInterval(given).interval, seconds{7});
  given.save = {};
  given.save.took = milliseconds{1};
  EXPECT_EQ(chooseInterval(given).interval, seconds{1});
}

TEST(CheckpointInterval, WhatIsNeverTakenFailsAllTheSame) {
  IntervalInputs given = inputs();
  given.hazard = {};
  const auto chosen = chooseInterval(given);
  EXPECT_DOUBLE_EQ(chosen.losses_per_hour, 1.0 / 240);
  EXPECT_GT(chosen.interval, minutes{40});
  EXPECT_LT(chosen.interval, hours{1});
}

TEST(CheckpointInterval, BeforeTheFirstSaveSomethingUsualIsAssumed) {
  IntervalInputs given;
  given.hazard = usualSpotHazard();
  const auto chosen = chooseInterval(given);
  EXPECT_EQ(chosen.cost, seconds{10});
  EXPECT_GT(chosen.interval, minutes{3});
  EXPECT_LT(chosen.interval, minutes{5});
}

}  // namespace
}  // namespace buoy::schedule
