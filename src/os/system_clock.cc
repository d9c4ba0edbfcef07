#include "os/system_clock.h"

#include <time.h>

#include <algorithm>

namespace buoy::os {
namespace {

std::int64_t monotonicMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

}  // namespace

SystemClock::SystemClock(Time not_before)
    : start_wall_(
          std::max(not_before, std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()))),
      start_monotonic_us_(monotonicMicroseconds()) {}

Time SystemClock::now() const {
  return start_wall_ + Duration{monotonicMicroseconds() - start_monotonic_us_};
}

}  // namespace buoy::os
