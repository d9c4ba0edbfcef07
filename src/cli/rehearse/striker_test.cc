#include "cli/rehearse/striker.h"

#include <gtest/gtest.h>

namespace buoy::cli {
namespace {

using engine::JobPhase;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kBegin{std::chrono::hours{1000}};

// Runs for 100 seconds and saves every ten.
RehearsedRun reference(Duration first_save = seconds{10}) {
  RehearsedRun run;
  run.attempts = {{1, kBegin, false}};
  run.ended = kBegin + seconds{100};
  for (Duration at = first_save; at < seconds{100}; at += seconds{10}) run.commits.push_back(kBegin + at);
  return run;
}

// The running job after so long, having saved as the reference has.
RehearsedRun at(Duration time, const RehearsedRun& like) {
  RehearsedRun run;
  run.attempts = {{1, kBegin, false}};
  for (const Time commit : like.commits) {
    if (commit <= kBegin + time) run.commits.push_back(commit);
  }
  return run;
}

// The first moment at which it strikes, by looking every half a second.
std::optional<Duration> firstStrike(Striker& striker, const RehearsedRun& like, bool saving = false) {
  for (Duration time{}; time < seconds{100}; time += milliseconds{500}) {
    if (striker.next(at(time, like), JobPhase::running, kBegin + time, saving)) return time;
  }
  return std::nullopt;
}

TEST(Striker, WithoutNoticeItComesBetweenTwoSaves) {
  Striker striker(Scenario::no_notice, reference(), {});
  EXPECT_EQ(firstStrike(striker, reference()), seconds{35});
  EXPECT_TRUE(striker.finished());
  EXPECT_FALSE(firstStrike(striker, reference())) << "once only";
}

TEST(Striker, ItWaitsForTheFirstSave) {
  Striker striker(Scenario::notice, reference(seconds{60}), {});
  EXPECT_EQ(firstStrike(striker, reference(seconds{60})), seconds{60});
}

TEST(Striker, WhatNeverSavesIsStruckAllTheSame) {
  Striker striker(Scenario::no_notice, reference(seconds{100}), {});
  EXPECT_EQ(firstStrike(striker, reference(seconds{100})), seconds{35});
}

TEST(Striker, ASaveThatDoesNotComeIsNotWaitedForWithoutEnd) {
  const RehearsedRun like = reference();
  Striker striker(Scenario::no_notice, like, {});
  RehearsedRun stuck = at(seconds{90}, like);
  stuck.commits.clear();
  EXPECT_TRUE(striker.next(stuck, JobPhase::running, kBegin + seconds{90}, false));
}

TEST(Striker, DuringASaveItWaitsForOne) {
  const RehearsedRun like = reference();
  Striker striker(Scenario::during_save, like, {});
  EXPECT_FALSE(striker.awaitsSave(at(seconds{20}, like), JobPhase::running, kBegin + seconds{20}));
  EXPECT_TRUE(striker.awaitsSave(at(seconds{36}, like), JobPhase::running, kBegin + seconds{36}));
  EXPECT_FALSE(striker.next(at(seconds{36}, like), JobPhase::running, kBegin + seconds{36}, false));
  const auto order = striker.next(at(seconds{40}, like), JobPhase::running, kBegin + seconds{40}, true);
  ASSERT_TRUE(order);
  EXPECT_TRUE(order->mid_save);
  EXPECT_EQ(order->notice, Duration{});
}

TEST(Striker, TwiceStrikesTheSecondAttemptAtOnce) {
  const RehearsedRun like = reference();
  Striker striker(Scenario::twice, like, {});
  RehearsedRun run = at(seconds{36}, like);
  ASSERT_TRUE(striker.next(run, JobPhase::running, kBegin + seconds{36}, false));
  EXPECT_FALSE(striker.finished());
  run.strikes.push_back({1, kBegin + seconds{36}, {}, 3, false});
  EXPECT_FALSE(striker.next(run, JobPhase::running, kBegin + seconds{37}, false)) << "the first is not over";
  run.attempts.push_back({2, Time{}, true});
  EXPECT_FALSE(striker.next(run, JobPhase::recovering, kBegin + seconds{38}, false));
  run.attempts.back().running = kBegin + seconds{39};
  EXPECT_TRUE(striker.next(run, JobPhase::running, kBegin + seconds{39}, false));
  EXPECT_TRUE(striker.finished());
}

TEST(Striker, TheNoticeIsAPartOfTheRunOrAsGiven) {
  const auto notice = [](Duration given) {
    const RehearsedRun like = reference();
    return Striker(Scenario::notice, like, {given, 0.35})
        .next(at(seconds{50}, like), JobPhase::running, kBegin + seconds{50}, false)
        ->notice;
  };
  EXPECT_EQ(notice({}), seconds{25});
  EXPECT_EQ(notice(seconds{7}), seconds{7});
}

}  // namespace
}  // namespace buoy::cli
