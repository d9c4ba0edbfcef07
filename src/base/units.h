#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace buoy {

using Duration = std::chrono::microseconds;
using Time = std::chrono::sys_time<Duration>;  // UTC

// "90s", "2h30m", "2h 30m", "1d", "250ms"; a bare number is seconds. Negative and absurd (> 10 years) values
// are errors.
Result<Duration> parseDuration(std::string_view text);
// Two largest units, for people: "2h 30m", "1.4s", "250ms".
std::string formatDuration(Duration duration);
double hoursOf(Duration duration);
// RFC 3339 in UTC with milliseconds: "2026-11-21T01:22:03.123Z".
std::string formatTime(Time time);
// Also with an offset from UTC: "2026-11-21T02:22:03+01:00".
Result<Time> parseTime(std::string_view text);

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct ByteCount {
  std::uint64_t value = 0;
  auto operator<=>(const ByteCount&) const = default;
};
// "1GiB", "512MB", "1.5Gi", "4096"; at most 1 EiB.
Result<ByteCount> parseByteCount(std::string_view text);
std::string formatByteCount(ByteCount bytes);  // "1.5 GiB"

// Money in nano-dollars: integers, so that sums are exact.
struct Money {
  std::int64_t nano_usd = 0;
  auto operator<=>(const Money&) const = default;
  Money& operator+=(Money other) {
    nano_usd += other.nano_usd;
    return *this;
  }
};
struct PricePerHour {
  std::int64_t nano_usd = 0;
  auto operator<=>(const PricePerHour&) const = default;
};
// price × duration, rounded half up to a nano-dollar; computed in 128 bits.
Money cost(PricePerHour price, Duration duration);
// USD with four digits below a dollar, two above: "$0.0031", "$12.40".
std::string formatMoney(Money money);
Result<PricePerHour> priceFromUsd(double usd_per_hour);  // rejects NaN, negative, > 1e6

}  // namespace buoy
