#include "schedule/spot/group.h"

#include <gtest/gtest.h>

#include "schedule/spot/trace_history.h"
#include "sim/generated_market.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::AvailabilitySpan;

std::vector<History> market(std::size_t zones, double shocks) {
  std::vector<History> histories;
  for (const sim::Trace& trace : sim::generateMarket({.seed = 5,
                                 .zones = zones,
                                 .ticks = 20'000,
                                 .up = {.fresh = 0.5, .settled = 0.5},
                                 .down = {.fresh = 0.5, .settled = 0.5},
                                 .daily = 0,
                                 .shocks = shocks,
                                 .shared = 1}))
    histories.push_back(historyOf(trace, 1));
  return histories;
}

// The chance that none is up once the one that was up longest, for hours, is lost.
double noneLeft(std::span<const History> histories, std::size_t places) {
  const AvailabilityModel model = learnGroup(AvailabilityModel::learn(histories), histories, places);
  const auto others = model.succession({})[1];
  return others.none / others.sumTo(kAges - 1);
}

TEST(Group, OfOnePlaceThereIsNoOther) {
  EXPECT_EQ(noneLeft(market(3, 0), 1), 1.0);
}

TEST(Group, KnowsHowOftenAnotherPlaceIsUp) {
  // Each is up half of the time, whatever the others do.
  const auto independent = market(4, 0);
  EXPECT_NEAR(noneLeft(independent, 2), 0.5, 0.12);
  EXPECT_NEAR(noneLeft(independent, 4), 0.125, 0.08);
  // What strikes all of them together leaves none.
  EXPECT_GT(noneLeft(market(4, 2), 4), noneLeft(independent, 4) + 0.2);
}

TEST(Group, FewHistoriesStandForMorePlaces) {
  const auto histories = market(1, 0);
  EXPECT_LT(noneLeft(histories, 3), noneLeft(histories, 1));
  EXPECT_LT(noneLeft({}, 4), noneLeft({}, 2)) << "without any past it is a guess";
}

TEST(Group, ComesBackSoonerThanOnePlace) {
  const auto histories = market(4, 0);
  const AvailabilityModel one = AvailabilityModel::learn(histories);
  const AvailabilityModel four = learnGroup(one, histories, 4);
  const MarketState down{0, 6, 1};
  EXPECT_NEAR(one.recovery(down, {}), 0.5, 0.15);
  EXPECT_NEAR(four.recovery(down, {}), 2, 0.5);
}

TEST(Group, IsUpWhileAnyPlaceIsForAsLongAsTheOldest) {
  const AvailabilityModel model = AvailabilityModel::learn({});
  const AvailabilitySpan fresh[] = {{20h, false}, {10min, true}};
  const AvailabilitySpan old[] = {{20h, false}, {9h, true}};
  const AvailabilitySpan gone[] = {{20h, true}, {8h, false}};
  const AvailabilitySpan lost[] = {{20h, true}, {5min, false}};
  const engine::SpotCandidate some[] = {{.past = fresh}, {.past = old}, {.past = gone}};
  EXPECT_EQ(model.stateOf(some).up, 1);
  EXPECT_EQ(model.stateOf(some).age, model.stateOf(old).age);
  const engine::SpotCandidate none[] = {{.past = gone}, {.past = lost}};
  EXPECT_EQ(model.stateOf(none).up, 0);
  EXPECT_EQ(model.stateOf(none).age, model.stateOf(lost).age);
}

}  // namespace
}  // namespace buoy::schedule::spot
