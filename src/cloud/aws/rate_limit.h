#pragma once

#include <deque>

#include "base/units.h"

namespace buoy::cloud::aws {

// How fast one operation may be asked for, learned from the server's refusals: no limit at first; after a
// refusal as many a second as were taken in the last second; then faster by and by, until it refuses again
// (additive increase, multiplicative decrease). `now` is any clock that does not go back. Not thread-safe.
class RateLimit {
 public:
  // Takes the next place; how long to wait for it.
  Duration reserve(Time now);
  void accepted(Time now);
  void refused(Time now);
  double perSecond() const { return rate_; }  // zero: no limit

 private:
  void forgetOld(Time now);

  double rate_ = 0;
  Time next_{};
  Time grown_{}, cut_{};
  std::deque<Time> taken_;  // of the last second
};

}  // namespace buoy::cloud::aws
