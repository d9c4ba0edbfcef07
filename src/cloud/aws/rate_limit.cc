#include "cloud/aws/rate_limit.h"

#include <algorithm>

namespace buoy::cloud::aws {
namespace {

constexpr Duration kWindow = std::chrono::seconds{1};
constexpr double kSlowest = 0.5;
constexpr double kCut = 0.8;
// A second: so much, and that part of the rate.
constexpr double kGrowth = 0.5, kRelativeGrowth = 0.04;
// Faster than any of AWS's limits: not kept to any more.
constexpr double kUnlimited = 500;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void RateLimit::forgetOld(Time now) {
  while (!taken_.empty() && taken_.front() <= now - kWindow) taken_.pop_front();
}

Duration RateLimit::reserve(Time now) {
  if (rate_ == 0) return Duration{0};
  const Time at = std::max(now, next_);
  next_ = at + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate_));
  return at - now;
}

void RateLimit::accepted(Time now) {
  forgetOld(now);
  taken_.push_back(now);
  if (rate_ == 0) return;
  // A place that nobody took is no reason to be faster.
  const double since = std::min(seconds(now - std::max(grown_, cut_)), 1.0);
  grown_ = now;
  rate_ += (kGrowth + kRelativeGrowth * rate_) * std::max(since, 0.0);
  if (rate_ > kUnlimited) rate_ = 0;
}

void RateLimit::refused(Time now) {
  forgetOld(now);
  // Those that were under way when it was cut say nothing about the new rate.
  if (rate_ > 0 && now < cut_ + kWindow) return;
  const double taken = static_cast<double>(taken_.size());
  rate_ = std::max(kSlowest, rate_ == 0 ? taken : rate_ * kCut);
  cut_ = now;
  next_ =
      std::max(next_, now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate_)));
}

}  // namespace buoy::cloud::aws
