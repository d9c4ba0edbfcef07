#pragma once

#include "base/clock.h"

namespace buoy::os {

// Wall clock at the start plus the monotonic time since: a wall clock set back or forward later has no
// effect.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(Time not_before = Time{});  // e.g. the last instant that the store has seen
  Time now() const override;

 private:
  Time start_wall_;
  std::int64_t start_monotonic_us_;
};

}  // namespace buoy::os
