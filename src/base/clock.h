#pragma once

#include <atomic>

#include "base/units.h"

namespace buoy {

// Time is injected. Threads: every implementation may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back within a process, whatever is done to the machine's wall clock (see os/system_clock.h).
  virtual Time now() const = 0;
};

// Stands still until a test advances it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(Time start = Time{std::chrono::hours{24 * 365 * 50}})
      : now_(start.time_since_epoch().count()) {}
  Time now() const override { return Time{Duration{now_.load()}}; }
  void advance(Duration by) { now_ += by.count(); }

 private:
  std::atomic<Duration::rep> now_;
};

}  // namespace buoy
