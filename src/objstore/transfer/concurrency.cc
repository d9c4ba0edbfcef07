#include "objstore/transfer/concurrency.h"

#include <algorithm>

namespace buoy::objstore {
namespace {

constexpr int kAtFirst = 8;
constexpr auto kInterval = std::chrono::milliseconds{150};
constexpr double kClearlyFaster = 1.05;
constexpr int kIntervalsBetweenProbes = 20;
// What a task costs beside its bytes, as bytes: so that small files count as well.
constexpr std::uint64_t kTaskWeight = 64u << 10;

}  // namespace

Concurrency::Concurrency(int fixed, int most)
    : fixed_(fixed),
      most_(std::max(most, 1)),
      limit_(fixed > 0 ? fixed : std::min(kAtFirst, std::max(most, 1))) {}

bool Concurrency::taskBegins(SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (busy_++ == 0) {
    interval_began_ = now;
    moved_before_ = moved_;
    tasks_ = 0;
  }
  return evaluate(now);
}

bool Concurrency::taskEnds(SteadyTime now) {
  const std::lock_guard lock(mutex_);
  ++tasks_;
  --busy_;
  const bool changed = evaluate(now);
  if (busy_ < limit() - 1) starved_ = true;
  return changed;
}

bool Concurrency::evaluate(SteadyTime now) {
  const auto passed = now - interval_began_;
  if (passed < kInterval) return false;
  const std::uint64_t moved = moved_;
  const double seconds = std::chrono::duration<double>(passed).count();
  const double bytes = static_cast<double>(moved - moved_before_);
  const double rate = (bytes + static_cast<double>(tasks_ * kTaskWeight)) / seconds;
  const int before = limit();
  rate_per_connection_ =
      static_cast<std::uint64_t>(bytes / seconds / std::max(1, std::min(before, busy_ + 1)));
  if (fixed_ == 0 && !starved_) decide(rate);
  interval_began_ = now;
  moved_before_ = moved;
  tasks_ = 0;
  starved_ = false;
  return limit() != before;
}

void Concurrency::decide(double rate) {
  const int now = limit();
  if (growing_ && rate < rate_before_growth_ * kClearlyFaster) {
    limit_ = smaller_;
    growing_ = false;
    intervals_until_probe_ = kIntervalsBetweenProbes;
    return;
  }
  if (!growing_ && intervals_until_probe_ > 0) {
    --intervals_until_probe_;
    return;
  }
  if (now >= most_) {
    growing_ = false;
    return;
  }
  smaller_ = now;
  rate_before_growth_ = rate;
  growing_ = true;
  limit_ = std::min(most_, now + (now + 1) / 2);
}

}  // namespace buoy::objstore
