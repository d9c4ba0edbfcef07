#include "objstore/transfer/concurrency.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/units.h"

namespace buoy::objstore {
namespace {

using std::chrono::milliseconds;

// Transfers that move as many bytes a second as `rate` says for so many of them at once, on a time of their
// own.
class Line {
 public:
  using Rate = std::function<double(int)>;
  Line(Concurrency& concurrency, Rate rate) : concurrency_(concurrency), rate_(std::move(rate)) { fill(); }
  // All threads that may work do.
  void fill() {
    for (; busy_ < concurrency_.limit(); ++busy_) concurrency_.taskBegins(now_);
  }
  // One interval: every task ends, and another one takes its place.
  void interval() {
    now_ += milliseconds{160};
    concurrency_.moved(static_cast<std::uint64_t>(rate_(busy_) * 0.16));
    for (int ended = busy_; ended > 0; --ended) {
      concurrency_.taskEnds(now_);
      --busy_;
      if (busy_ < concurrency_.limit()) {
        concurrency_.taskBegins(now_);
        ++busy_;
      }
    }
    fill();
  }
  void intervals(int count) {
    for (int i = 0; i < count; ++i) interval();
  }
  Concurrency::SteadyTime now() const { return now_; }

 private:
  Concurrency& concurrency_;
  const Rate rate_;
  int busy_ = 0;
  Concurrency::SteadyTime now_{std::chrono::hours{1}};
};

TEST(Concurrency, GrowsAsLongAsMoreIsFaster) {
  Concurrency concurrency(0, 64);
  EXPECT_EQ(concurrency.limit(), 8);
  Line line(concurrency, [](int busy) { return busy * 10.0 * kMiB; });
  line.intervals(12);
  // Up to where what is left to try is too little to tell.
  EXPECT_GE(concurrency.limit(), 60) << "each transfer brings the same again";
  line.intervals(100);
  EXPECT_GE(concurrency.limit(), 60);
  EXPECT_LE(concurrency.limit(), 64);
}

TEST(Concurrency, GoesBackWhereMoreIsNotFaster) {
  Concurrency concurrency(0, 64);
  Line line(concurrency, [](int) { return 100.0 * kMiB; });
  line.interval();
  EXPECT_EQ(concurrency.limit(), 12) << "tries";
  line.intervals(2);  // the first one is for the new transfers to begin
  EXPECT_EQ(concurrency.limit(), 8) << "and sees";
  line.intervals(15);
  EXPECT_EQ(concurrency.limit(), 8);
}

TEST(Concurrency, AsksAgainNowAndThen) {
  Concurrency concurrency(0, 64);
  double shared = 100.0 * kMiB;
  double each = shared;
  Line line(concurrency, [&](int busy) { return std::min(shared, busy * each); });
  line.intervals(3);
  EXPECT_EQ(concurrency.limit(), 8);
  // The line has become wide, and what one of them gets narrow.
  shared = 1e12;
  each = 10.0 * kMiB;
  line.intervals(40);
  EXPECT_GE(concurrency.limit(), 60);
}

TEST(Concurrency, FindsWhereItEndsToPay) {
  Concurrency concurrency(0, 64);
  // 20 at once fill the line.
  Line line(concurrency, [](int busy) { return std::min(busy, 20) * 10.0 * kMiB; });
  line.intervals(10);
  EXPECT_GE(concurrency.limit(), 18);
  EXPECT_LE(concurrency.limit(), 42);
}

TEST(Concurrency, ManySmallFilesCountAsWell) {
  Concurrency concurrency(0, 32);
  Line line(concurrency, [](int) { return 0.0; });  // as many tasks more as there are transfers, but no bytes
  line.intervals(10);
  EXPECT_EQ(concurrency.limit(), 32);
  EXPECT_EQ(concurrency.ratePerConnection(), 0u);
}

TEST(Concurrency, OneTaskSaysNothingAboutTheLimit) {
  Concurrency concurrency(0, 64);
  Concurrency::SteadyTime now{std::chrono::hours{1}};
  for (int i = 0; i < 50; ++i) {
    concurrency.taskBegins(now);
    concurrency.moved(kMiB * static_cast<std::uint64_t>(i));
    now += milliseconds{200};
    concurrency.taskEnds(now);
  }
  EXPECT_LE(concurrency.limit(), 12);
}

TEST(Concurrency, StaysWhereItIsTold) {
  Concurrency concurrency(3, 64);
  EXPECT_EQ(concurrency.limit(), 3);
  Line line(concurrency, [](int busy) { return busy * 10.0 * kMiB; });
  line.intervals(30);
  EXPECT_EQ(concurrency.limit(), 3);
}

TEST(Concurrency, MayBeFewer) {
  EXPECT_EQ(Concurrency(0, 4).limit(), 4);
  EXPECT_EQ(Concurrency(0, 0).limit(), 1);
  EXPECT_EQ(Concurrency(0, -1).limit(), 1);
  Concurrency concurrency(0, 4);
  Line line(concurrency, [](int busy) { return busy * 10.0 * kMiB; });
  line.intervals(30);
  EXPECT_EQ(concurrency.limit(), 4);
}

TEST(Concurrency, KnowsWhatOneConnectionGets) {
  Concurrency concurrency(8, 8);
  EXPECT_EQ(concurrency.ratePerConnection(), 0u);
  Line line(concurrency, [](int busy) { return busy * 10.0 * kMiB; });
  line.intervals(3);
  EXPECT_NEAR(static_cast<double>(concurrency.ratePerConnection()), 10.0 * kMiB, kMiB);
}

// Time that nobody works is no time in which nothing was moved.
TEST(Concurrency, APauseIsNoSlowness) {
  Concurrency concurrency(8, 8);
  Concurrency::SteadyTime now{std::chrono::hours{1}};
  for (int i = 0; i < 2; ++i) {
    for (int task = 0; task < 8; ++task) concurrency.taskBegins(now);
    now += milliseconds{200};
    concurrency.moved(8 * kMiB);
    for (int task = 0; task < 8; ++task) concurrency.taskEnds(now);
    EXPECT_NEAR(static_cast<double>(concurrency.ratePerConnection()), 5.0 * kMiB, kMiB) << i;
    now += std::chrono::hours{1};
  }
}

}  // namespace
}  // namespace buoy::objstore
