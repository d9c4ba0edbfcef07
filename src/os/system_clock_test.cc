#include "os/system_clock.h"

#include <gtest/gtest.h>

namespace buoy::os {
namespace {

// A wall clock that was set back while the control plane was down: time goes on from what the store has seen.
TEST(SystemClockTest, NeverStartsBeforeTheLastInstantThatWasSeen) {
  const Time seen = SystemClock{}.now() + std::chrono::hours{24 * 365};
  const SystemClock clock(seen);
  const Time first = clock.now();
  EXPECT_GE(first, seen);
  EXPECT_LT(first, seen + std::chrono::hours{1});
}

TEST(SystemClockTest, NeverGoesBack) {
  const SystemClock clock;
  Time last = clock.now();
  for (int n = 0; n < 100'000; ++n) {
    const Time now = clock.now();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace buoy::os
