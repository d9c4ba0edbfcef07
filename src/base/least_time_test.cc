#include "base/least_time.h"

#include <gtest/gtest.h>

namespace buoy {
namespace {

using namespace std::chrono_literals;

TEST(LeastTime, IsNeverLessAndReadBackAsWritten) {
  EXPECT_EQ(leastTimeText(0s), "0s");
  EXPECT_EQ(leastTimeText(1us), "1s");
  EXPECT_EQ(leastTimeText(60s), "1m");
  EXPECT_EQ(leastTimeText(124s + 1us), "2m 5s");
  EXPECT_EQ(leastTimeText(1h), "1h");
  EXPECT_EQ(leastTimeText(49h + 21min + 1s), "49h 22m");
  EXPECT_EQ(leastTimeText(50h), "50h");
  for (Duration time{1}; time < 1000h; time = time * 3 + 7us) {
    const auto read = parseDuration(leastTimeText(time));
    ASSERT_TRUE(read.has_value()) << leastTimeText(time);
    EXPECT_EQ(*read, leastTime(time));
    EXPECT_GE(*read, time);
  }
}

}  // namespace
}  // namespace buoy
