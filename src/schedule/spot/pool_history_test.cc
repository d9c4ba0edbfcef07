#include "schedule/spot/pool_history.h"

#include <gtest/gtest.h>

#include "schedule/spot/planners.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::MarketEvent;
using What = MarketEvent::What;

constexpr Time kBegin{std::chrono::hours{24 * 365 * 50}};

MarketEvent machine(Duration lived, bool taken) {
  return {.pool = "p", .at = kBegin, .what = What::ended, .lived = lived, .taken = taken};
}

TEST(PoolHistory, TellsWhenSpotCouldBeHadAndHowLongMachinesLived) {
  const std::vector<MarketEvent> events{{.pool = "p", .at = kBegin, .what = What::up},
                                        machine(2h, true),
                                        {.pool = "p", .at = kBegin + 3h, .what = What::down},
                                        machine(1h, false)};
  const auto histories = historiesOf(events, kBegin + 4h);
  ASSERT_EQ(histories.size(), 3u);
  EXPECT_EQ(histories[0].kind, History::Kind::life);
  EXPECT_EQ(histories[0].spans.size(), 3u) << "its end is an event";
  EXPECT_EQ(histories[1].spans.size(), 2u) << "its end tells nothing";
  EXPECT_EQ(histories[2].kind, History::Kind::seen);
  EXPECT_EQ(histories[2].spans, (std::vector<engine::AvailabilitySpan>{{3h, true}, {1h, false}}));
  EXPECT_TRUE(historiesOf({}, kBegin).empty());
}

// The hazard at an age of an hour, learned from so many machines that were taken or given back after an hour.
double hazardAfter(int count, Duration lived, bool taken) {
  const std::vector<MarketEvent> events(static_cast<std::size_t>(count), machine(lived, taken));
  const auto model = AvailabilityModel::learn(historiesOf(events, kBegin));
  return model.hazard({1, static_cast<std::uint8_t>(ageBin(lived - 3min)), 3});
}

TEST(PoolHistory, ReclaimsMakeTheHazardOfTheirAgeAndLivesThatWentOnDoNot) {
  const double guess = hazardAfter(0, 1h, true);
  EXPECT_GT(hazardAfter(30, 1h, true), 2 * guess);
  EXPECT_LT(hazardAfter(30, 1h, false), 0.7 * guess);
}

TEST(LearningPlanners, AskOnceForEachListOfSources) {
  int asked = 0;
  LearningPlanners planners([&](const engine::SpotSource& source) {
    ++asked;
    EXPECT_EQ(source.pool, "p");
    return historiesOf({}, kBegin);
  });
  const engine::SpotSource source{.pool = "p", .until = kBegin, .recorded = {}};
  const auto first = planners.of({&source, 1});
  EXPECT_EQ(planners.of({&source, 1}), first);
  EXPECT_EQ(asked, 1);
  const engine::SpotSource later{.pool = "p", .until = kBegin + 1h, .recorded = {}};
  EXPECT_NE(planners.of({&later, 1}), first);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace buoy::schedule::spot
