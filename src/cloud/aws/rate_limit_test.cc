#include "cloud/aws/rate_limit.h"

#include <gtest/gtest.h>

#include <queue>

namespace buoy::cloud::aws {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A server with a bucket of `burst` requests that fills at `rate` a second.
class Bucket {
 public:
  Bucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}
  bool take(Time now) {
    tokens_ = std::min(burst_, tokens_ + rate_ * std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  double rate_, burst_, tokens_;
  Time last_{};
};

// How long it takes until `count` requests, all wanted at once, have been taken.
Duration timeFor(int count, Bucket bucket, int* refusals) {
  RateLimit limit;
  const Time start{seconds{1'000'000}};
  struct Try {
    Time at;
    Duration backoff;
    bool operator<(const Try& other) const { return at > other.at; }
  };
  std::priority_queue<Try> waiting;
  for (int i = 0; i < count; ++i) waiting.push({start + limit.reserve(start), milliseconds{500}});
  int left = count;
  Time now = start;
  while (left > 0) {
    const Try next = waiting.top();
    waiting.pop();
    now = next.at;
    if (bucket.take(now)) {
      limit.accepted(now);
      --left;
      continue;
    }
    ++*refusals;
    limit.refused(now);
    waiting.push({now + std::max<Duration>(next.backoff, limit.reserve(now)), next.backoff});
  }
  return now - start;
}

TEST(RateLimit, HasNoneBeforeARefusal) {
  RateLimit limit;
  const Time now{seconds{1000}};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(limit.reserve(now), Duration{0});
    limit.accepted(now);
  }
  EXPECT_EQ(limit.perSecond(), 0);
}

TEST(RateLimit, IsWhatWasTakenInTheLastSecondAndGrows) {
  RateLimit limit;
  Time now{seconds{1000}};
  for (int i = 0; i < 10; ++i) limit.accepted(now);
  limit.refused(now);
  EXPECT_DOUBLE_EQ(limit.perSecond(), 10);
  limit.refused(now);
  EXPECT_DOUBLE_EQ(limit.perSecond(), 10) << "one of those that were under way";
  const Duration first = limit.reserve(now), second = limit.reserve(now);
  EXPECT_EQ(first, milliseconds{100});
  EXPECT_EQ(second, milliseconds{200});
  now += seconds{1};
  limit.accepted(now);
  EXPECT_DOUBLE_EQ(limit.perSecond(), 10.9);
  now += seconds{1};
  limit.refused(now);
  EXPECT_NEAR(limit.perSecond(), 8.72, 1e-9);
}

TEST(RateLimit, GetsManyThroughInLittleMoreThanTheServersOwnTime) {
  int refusals = 0;
  const Duration took = timeFor(200, Bucket(10, 10), &refusals);
  EXPECT_LT(took, seconds{(200 - 10) / 10} * 3 / 2);
  EXPECT_LT(refusals, 400) << "two for each at most";
}

TEST(RateLimit, ComesBackFromAServerThatTakesNothingForAWhile) {
  RateLimit limit;
  Time now{seconds{1000}};
  for (int i = 0; i < 60; ++i) {
    limit.refused(now);
    now += seconds{1};
  }
  EXPECT_GE(limit.perSecond(), 0.5);
  int taken = 0;
  const Time since = now;
  while (limit.perSecond() > 0 && limit.perSecond() < 5 && taken < 1000) {
    now += limit.reserve(now);
    limit.accepted(now);
    ++taken;
  }
  EXPECT_LT(now - since, std::chrono::minutes{2});
}

}  // namespace
}  // namespace buoy::cloud::aws
