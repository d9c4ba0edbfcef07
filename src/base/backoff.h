#pragma once

#include <chrono>
#include <optional>
#include <random>
#include <stop_token>

#include "base/units.h"

namespace buoy {

// Waits between tries: each up to twice as long as the one before, with jitter, as long as the trouble has
// not lasted longer than patience does. One thread.
class Backoff {
 public:
  Backoff(Duration first, Duration longest)
      : first_(first), longest_(longest), wait_(first), random_(std::random_device{}()) {}

  // False: the wait would end more than `patience` after the trouble began, or `stop` was requested.
  bool wait(Duration patience, const std::stop_token& stop);
  // Something went well in between: patience begins anew.
  void reset();

 private:
  const Duration first_, longest_;
  Duration wait_;
  std::minstd_rand random_;
  std::optional<std::chrono::steady_clock::time_point> trouble_since_;
};

}  // namespace buoy
