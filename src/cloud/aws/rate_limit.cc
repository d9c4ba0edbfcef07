#include "cloud/aws/rate_limit.h"

#include <algorithm>
#include <cmath>

namespace buoy::cloud::aws {
namespace {

constexpr Duration kWindow = std::chrono::seconds{1};
constexpr double kSlowest = 0.5;
constexpr double kCut = 0.7, kSteepness = 0.4;  // β and C
// How much faster than what was last asked for: a limit that was not reached is no reason to raise it.
constexpr double kMostGrowth = 2;
// Faster than any of AWS's limits: not kept to any more.
constexpr double kUnlimited = 500;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

double RateLimit::asked(Time now) {
  while (!sent_.empty() && sent_.front() <= now - kWindow) sent_.pop_front();
  return static_cast<double>(sent_.size());
}

Duration RateLimit::take(Time now) {
  if (rate_ > 0) {
    const Time next = last_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate_));
    if (next > now) return next - now;
    last_ = now;
  }
  sent_.push_back(now);
  (void)asked(now);
  return Duration{0};
}

void RateLimit::accepted(Time now) {
  if (rate_ == 0) return;
  const double flat_after = std::cbrt(rate_before_cut_ * (1 - kCut) / kSteepness);
  const double wanted = rate_before_cut_ + kSteepness * std::pow(seconds(now - cut_) - flat_after, 3);
  rate_ = std::max(rate_, std::min(wanted, kMostGrowth * std::max(asked(now), 1.0)));
  if (rate_ > kUnlimited) rate_ = 0;
}

void RateLimit::refused(Time now) {
  // Those that were under way when it was cut say nothing about the new rate.
  if (rate_ > 0 && now < cut_ + kWindow) return;
  rate_before_cut_ = rate_ == 0 ? asked(now) : std::min(rate_, asked(now));
  rate_ = std::max(kSlowest, rate_before_cut_ * kCut);
  cut_ = last_ = now;
}

}  // namespace buoy::cloud::aws
