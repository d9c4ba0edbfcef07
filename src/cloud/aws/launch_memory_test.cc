#include "cloud/aws/launch_memory.h"

#include <gtest/gtest.h>

namespace buoy::cloud::aws {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TEST(LaunchMemory, KeepsAFailureForAWhileThatGrows) {
  LaunchMemory memory;
  Time now{seconds{1'000'000}};
  const auto lasts = [&](Duration duration) {
    return memory.failedLately("t", "a", true, now + duration - seconds{1}) &&
           !memory.failedLately("t", "a", true, now + duration);
  };
  memory.failed("t", "a", true, now);
  EXPECT_TRUE(lasts(seconds{30}));
  memory.failed("t", "a", true, now + seconds{1});
  EXPECT_TRUE(lasts(seconds{30})) << "one of several that were asked at once";
  now += seconds{30};
  memory.failed("t", "a", true, now);
  EXPECT_TRUE(lasts(minutes{1}));
  for (int i = 0; i < 20; ++i) {
    now += std::chrono::hours{2};
    memory.failed("t", "a", true, now);
  }
  EXPECT_TRUE(lasts(std::chrono::hours{1}));
}

TEST(LaunchMemory, IsOfOneTypeInOneZoneAndMarketAndEndsWithASuccess) {
  LaunchMemory memory;
  const Time now{seconds{1'000'000}};
  memory.failed("t", "a", true, now);
  EXPECT_FALSE(memory.failedLately("t", "b", true, now));
  EXPECT_FALSE(memory.failedLately("u", "a", true, now));
  EXPECT_FALSE(memory.failedLately("t", "a", false, now));
  EXPECT_TRUE(memory.failedLately("t", "a", true, now));
  memory.succeeded("t", "a", true);
  EXPECT_FALSE(memory.failedLately("t", "a", true, now));
}

}  // namespace
}  // namespace buoy::cloud::aws
