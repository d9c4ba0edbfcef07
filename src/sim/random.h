#pragma once

#include <array>
#include <cstdint>

#include "base/units.h"

namespace buoy::sim {

// Two numbers into one that looks random (the finalizer of splitmix64): a stream of its own for each thing
// that needs chance, so that what happens to one does not depend on what others drew.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a + 0x9e3779b97f4a7c15ULL * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

// xoshiro256** (Blackman and Vigna), seeded by splitmix64. The same numbers on every machine: integers only,
// except exponential(), which uses nothing but the basic operations that IEEE 754 defines to the bit.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 4; ++i) state_[i] = mix(seed, i);
  }

  constexpr std::uint64_t next() {
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // 0 … bound-1; 0 for a bound of 0. The bias is below 2^-32.
  constexpr std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }
  constexpr bool oneIn(std::uint32_t n) { return below(n) == 0; }
  // From `low` to `high`, both included.
  constexpr std::int64_t between(std::int64_t low, std::int64_t high) {
    const auto span = static_cast<std::uint64_t>(high - low) + 1;
    return low + static_cast<std::int64_t>(span == 0 ? next() : next() % span);
  }
  constexpr Duration between(Duration low, Duration high) {
    return Duration{between(low.count(), high.count())};
  }
  // 0 included, 1 not.
  constexpr double real() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // The time to the next event of a memoryless process.
  Duration exponential(Duration mean);

 private:
  static constexpr std::uint64_t rotate(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace buoy::sim
