#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/types.h"

// The arithmetic of fair shares. What a share holds at an instant is the milli-cpus of its jobs that have an
// attempt, over all of their machines. Its level is (what it holds + what it held of late) / its weight, and
// the share of the lowest level goes first, so that what is held tends to the ratio of the weights. Pure.
namespace buoy::engine {

struct ShareUse {
  std::int64_t held = 0;  // milli-cpus, now
  double past = 0;        // milli-cpus: the mean of what was held, older use weighing exp(-age / decay)
  Time as_of{};           // of `past`; zero: nothing has been held yet
};

// The weight of the entry that names the share, else of the longest that ends in '*' and begins it, else 1.
double weightOf(const FairShare& fair, std::string_view share);
// Brings `past` to `now`, with what has been held since then. Must be called before `held` changes.
void settleUse(ShareUse& use, Duration decay, Time now);
// In cpus by weight 1; `use` must have been settled.
double levelOf(const ShareUse& use, double weight);
// Of `capacity` machines how many stay free for shares that have nothing, while `active` others hold or want
// something: capacity × (percent / 100)^active, rounded down (the rule of AWS Batch's computeReservation).
std::int32_t reservedOf(std::int32_t capacity, std::int32_t percent, std::size_t active);
// "share 'bob' uses 3 cpus, and 2.5 of late, at weight 2".
std::string describeUse(std::string_view share, const ShareUse& use, double weight);

}  // namespace buoy::engine
