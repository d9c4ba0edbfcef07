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

// How long it takes until `count` requests, wanted at once by so many callers, have been taken; each is on
// its way for a while before it is answered.
Duration timeFor(int count, int callers, Bucket bucket, int* refusals) {
  RateLimit limit;
  constexpr Duration kOnItsWay = milliseconds{100};
  const Time start{seconds{1'000'000}};
  struct Step {
    Time at;
    enum class What { take, arrive_accepted, arrive_refused } what;
    bool operator<(const Step& other) const { return at > other.at; }
  };
  std::priority_queue<Step> steps;
  for (int i = 0; i < callers; ++i) steps.push({start, Step::What::take});
  int left = count;
  Time now = start;
  while (left > 0) {
    const Step step = steps.top();
    steps.pop();
    now = step.at;
    switch (step.what) {
      case Step::What::take:
        if (const Duration wait = limit.take(now); wait > Duration{0}) {
          steps.push({now + wait, Step::What::take});
        } else {
          steps.push(
              {now + kOnItsWay, bucket.take(now) ? Step::What::arrive_accepted : Step::What::arrive_refused});
        }
        break;
      case Step::What::arrive_accepted:
        limit.accepted(now);
        --left;
        steps.push({now, Step::What::take});
        break;
      case Step::What::arrive_refused:
        limit.refused(now);
        ++*refusals;
        steps.push({now + milliseconds{500}, Step::What::take});
        break;
    }
  }
  return now - start;
}

TEST(RateLimit, HasNoneBeforeARefusal) {
  RateLimit limit;
  const Time now{seconds{1000}};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(limit.take(now), Duration{0});
    limit.accepted(now);
  }
  EXPECT_EQ(limit.perSecond(), 0);
}

TEST(RateLimit, IsCutToAPartOfWhatWasAskedForAndComesBack) {
  RateLimit limit;
  Time now{seconds{1000}};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limit.take(now), Duration{0});
  limit.refused(now);
  EXPECT_DOUBLE_EQ(limit.perSecond(), 7);
  limit.refused(now);
  EXPECT_DOUBLE_EQ(limit.perSecond(), 7) << "one of those that were under way";
  for (const Time end = now + seconds{2}; now < end; now += limit.take(now)) limit.accepted(now);
  EXPECT_NEAR(limit.perSecond(), 10, 0.2) << "the cubic is flat where it was refused";
}

TEST(RateLimit, AWaitEndsEarlierWhenTheRateHasGrown) {
  RateLimit limit;
  Time now{seconds{1000}};
  EXPECT_EQ(limit.take(now), Duration{0});
  limit.refused(now);
  const Duration before = limit.take(now);
  EXPECT_GT(before, seconds{1});
  now += seconds{1};
  limit.accepted(now);
  EXPECT_LT(limit.take(now), before - seconds{1} + milliseconds{1});
}

TEST(RateLimit, GetsManyThroughInLittleMoreThanTheServersOwnTime) {
  for (const int callers : {1, 4, 16, 64}) {
    int refusals = 0;
    const Duration took = timeFor(200, callers, Bucket(10, 10), &refusals);
    // One at a time has the time on the way besides.
    EXPECT_LT(took, seconds{(200 - 10) / 10} * 3 / 2) << callers;
    EXPECT_LT(refusals, 400) << callers << ": two for each at most";
  }
}

TEST(RateLimit, ComesBackFromAServerThatTakesNothingForAWhile) {
  RateLimit limit;
  Time now{seconds{1000}};
  for (int i = 0; i < 60; ++i) {
    limit.refused(now);
    now += seconds{1};
  }
  EXPECT_GE(limit.perSecond(), 0.5);
  const Time since = now;
  while (limit.perSecond() > 0 && limit.perSecond() < 5 && now < since + std::chrono::minutes{3}) {
    const Duration wait = limit.take(now);
    now += wait;
    if (wait == Duration{0}) limit.accepted(now);
  }
  EXPECT_LT(now - since, std::chrono::minutes{1});
}

}  // namespace
}  // namespace buoy::cloud::aws
