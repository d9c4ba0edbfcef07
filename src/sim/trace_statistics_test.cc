#include "sim/trace_statistics.h"

#include <gtest/gtest.h>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;

TEST(TraceStatistics, CountsWhatWasSeen) {
  Trace trace;
  trace.gap = 10min;
  // Up since before the beginning for 20 min; 10 down; 40 up; 20 down; up at the end for 10.
  trace.available = {2, 2, 0, 1, 2, 2, 2, 0, 0, 2};
  trace.prices.assign(10, {100});
  trace.prices[3] = {200};
  const TraceStatistics one = statisticsOf(trace, 1);
  EXPECT_DOUBLE_EQ(one.up_share, 0.7);
  EXPECT_EQ(one.reclaims, 2u);
  EXPECT_EQ(one.mean_up, 40min);
  EXPECT_EQ(one.mean_down, 15min);
  EXPECT_EQ(one.mean.nano_usd, 110);
  EXPECT_EQ(one.most.nano_usd, 200);
  // 12 to 30 minutes: 18 min of the one up-time; its end lies in the next bin.
  EXPECT_NEAR(one.by_age[0].hours, 22.0 / 60, 1e-9);
  EXPECT_NEAR(one.by_age[1].hours, 18.0 / 60, 1e-9);
  EXPECT_EQ(one.by_age[1].reclaims, 0u);
  EXPECT_EQ(one.by_age[2].reclaims, 1u);
  EXPECT_NEAR(one.by_age[2].perHour(), 6, 1e-9);
  EXPECT_DOUBLE_EQ(statisticsOf(trace, 2).up_share, 0.6);
  EXPECT_DOUBLE_EQ(statisticsOf(trace, 3).up_share, 0);
  EXPECT_EQ(statisticsOf(trace, 3).mean_up, 0min);
}

}  // namespace
}  // namespace buoy::sim
