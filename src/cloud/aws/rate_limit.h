#pragma once

#include <deque>

#include "base/units.h"

namespace buoy::cloud::aws {

// How fast one operation may be asked for, learned from the server's refusals: no limit at first; after a
// refusal 0.7 of what was asked for in the last second; then back to that along a cubic curve, flat there,
// and beyond it ever faster until the next refusal. (CUBIC, RFC 9438, over requests a second, as in the
// adaptive retry mode of AWS's SDKs.) `now` is any clock that does not go back. Not thread-safe.
class RateLimit {
 public:
  // Zero: a request may be sent now, and is counted. Else when to ask again: no place is kept, since by then
  // the rate may be another.
  Duration take(Time now);
  void accepted(Time now);
  void refused(Time now);
  double perSecond() const { return rate_; }  // zero: no limit

 private:
  double asked(Time now);  // in the second before

  double rate_ = 0;
  double rate_before_cut_ = 0;
  Time last_{}, cut_{};
  std::deque<Time> sent_;  // of the last second
};

}  // namespace buoy::cloud::aws
