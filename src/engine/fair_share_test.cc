#include "engine/fair_share.h"

#include <gtest/gtest.h>

namespace buoy::engine {
namespace {

using namespace std::chrono_literals;

TEST(FairShare, TheLongestNameThatFitsGivesTheWeight) {
  const FairShare fair{.weights = {{"team*", 2}, {"team-a*", 3}, {"team-a1", 5}, {"*", 0.5}}};
  EXPECT_EQ(weightOf(fair, "team-a1"), 5);
  EXPECT_EQ(weightOf(fair, "team-a2"), 3);
  EXPECT_EQ(weightOf(fair, "team-b"), 2);
  EXPECT_EQ(weightOf(fair, "ada"), 0.5);
  EXPECT_EQ(weightOf(FairShare{}, "ada"), 1);
}

TEST(FairShare, WhatIsHeldAndWasHeldMakesTheLevel) {
  const Time begin{24h};
  ShareUse use{.held = 4000};
  settleUse(use, 10min, begin);
  EXPECT_EQ(levelOf(use, 2), 2) << "nothing is past yet";
  settleUse(use, 10min, begin + 10min);
  EXPECT_NEAR(use.past, 4000 * (1 - 1 / 2.718281828), 1);
  settleUse(use, 10min, begin + 10h);
  EXPECT_NEAR(levelOf(use, 2), 4, 1e-9) << "held for long: as much again";
  use.held = 0;
  settleUse(use, 10min, begin + 10h + 20min);
  EXPECT_NEAR(use.past, 4000 / 2.718281828 / 2.718281828, 1);
  settleUse(use, Duration{0}, begin + 10h + 20min);
  EXPECT_EQ(levelOf(use, 1), 0) << "without decay the past does not count";
}

TEST(FairShare, TheReserveIsThePowerOfThePartThatAwsDocuments) {
  EXPECT_EQ(reservedOf(256, 50, 1), 128);
  EXPECT_EQ(reservedOf(256, 50, 2), 64);
  EXPECT_EQ(reservedOf(256, 25, 3), 4);
  EXPECT_EQ(reservedOf(256, 0, 1), 0);
  EXPECT_EQ(reservedOf(256, 50, 0), 0);
}

TEST(FairShare, AUseIsToldInOneLine) {
  EXPECT_EQ(describeUse("bob", {.held = 3000, .past = 2540}, 2),
            "share 'bob' uses 3 cpus, and 2.5 of late, at weight 2");
  EXPECT_EQ(describeUse("", {.held = 500}, 0.25), "the share without a name uses 0.5 cpus at weight 0.25");
}

}  // namespace
}  // namespace buoy::engine
