#include "base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "base/strings.h"

namespace buoy {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kLongestDuration = days{3650};

// The number at the front of `text` (digits with an optional fraction), which is removed from it.
std::optional<double> takeNumber(std::string_view& text) {
  constexpr std::string_view kNumber = "0123456789.";
  if (text.empty() || kNumber.find(text.front()) == std::string_view::npos)
    return std::nullopt;  // "inf", "nan"
  double value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Exactly `count` digits and then `end` ('\0': nothing), which are removed from `text`.
std::optional<unsigned> takeDigits(std::string_view& text, std::size_t count, char end) {
  const std::size_t length = count + (end == '\0' ? 0 : 1);
  if (text.size() < length || (end != '\0' && text[count] != end)) return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  text.remove_prefix(length);
  return value;
}

std::string format(const char* pattern, auto... values) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), pattern, values...);
  return buffer.data();
}

}  // namespace

Result<Duration> parseDuration(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                strCat({inQuotes(text), " ", why, " (write for example 90s, 2h30m, 250ms)"}));
  };
  struct Unit {
    std::string_view name;
    Duration length;
  };
  static constexpr std::array<Unit, 6> kUnits{{{"us", microseconds{1}},
                                               {"ms", milliseconds{1}},
                                               {"s", seconds{1}},
                                               {"m", minutes{1}},
                                               {"h", hours{1}},
                                               {"d", days{1}}}};
  std::string_view rest = text;
  if (rest.empty()) return bad("is not a duration");
  double total = 0;
  while (!rest.empty()) {
    if (rest.front() == '-') return bad("is negative");
    const std::optional<double> number = takeNumber(rest);
    if (!number) return bad("is not a duration");
    const bool bare = rest.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
    const std::string_view word = rest.substr(0, std::min(rest.find_first_of(" 0123456789.-"), rest.size()));
    Duration unit = bare ? seconds{1} : Duration{};
    for (const Unit& candidate : kUnits) {
      if (candidate.name == word) unit = candidate.length;
    }
    if (unit == Duration{}) return bad("has no known unit: use us, ms, s, m, h or d");
    rest.remove_prefix(word.size());
    total += *number * static_cast<double>(unit.count());
    if (!(total <= static_cast<double>(kLongestDuration.count()))) return bad("is longer than ten years");
    while (rest.starts_with(' ')) rest.remove_prefix(1);
  }
  return Duration{std::llround(total)};
}

std::string formatDuration(Duration duration) {
  const bool negative = duration < Duration{};
  const Duration length = negative ? -duration : duration;
  const std::string sign = negative ? "-" : "";
  if (length == Duration{}) return "0s";
  if (length < milliseconds{1}) return sign + std::to_string(length.count()) + "us";
  if (length < seconds{1})
    return sign + std::to_string(std::chrono::floor<milliseconds>(length).count()) + "ms";
  if (length < minutes{1})
    return sign + format("%.1fs", std::floor(static_cast<double>(length.count()) / 1e5) / 10);
  const auto whole = [](auto value) { return std::to_string(value.count()); };
  if (length < hours{1}) {
    const auto m = std::chrono::floor<minutes>(length);
    return sign + whole(m) + "m " + whole(std::chrono::floor<seconds>(length - m)) + "s";
  }
  if (length < days{1}) {
    const auto h = std::chrono::floor<hours>(length);
    return sign + whole(h) + "h " + whole(std::chrono::floor<minutes>(length - h)) + "m";
  }
  const auto d = std::chrono::floor<days>(length);
  return sign + whole(d) + "d " + whole(std::chrono::floor<hours>(length - d)) + "h";
}

double hoursOf(Duration duration) {
  return static_cast<double>(duration.count()) / 3.6e9;
}

std::string formatTime(Time time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<milliseconds>(time - day)};
  return format("%04d-%02u-%02uT%02ld:%02ld:%02ld.%03ldZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<long>(clock.hours().count()), static_cast<long>(clock.minutes().count()),
                static_cast<long>(clock.seconds().count()), static_cast<long>(clock.subseconds().count()));
}

namespace {

// "Z", "+01:00", "-05:30": how far ahead of UTC.
std::optional<minutes> utcOffset(std::string_view text) {
  if (text == "Z") return minutes{0};
  if (!text.starts_with('+') && !text.starts_with('-')) return std::nullopt;
  const bool ahead = text.front() == '+';
  text.remove_prefix(1);
  const auto hour = takeDigits(text, 2, ':');
  const auto minute = takeDigits(text, 2, '\0');
  if (!hour || !minute || !text.empty() || *hour > 23 || *minute > 59) return std::nullopt;
  const minutes offset = hours{*hour} + minutes{*minute};
  return ahead ? offset : -offset;
}

}  // namespace

Result<Time> parseTime(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::invalid_argument, inQuotes(text) + " is not a time like 2026-11-21T01:22:03Z");
  };
  std::string_view rest = text;
  const auto year = takeDigits(rest, 4, '-');
  const auto month = takeDigits(rest, 2, '-');
  const auto day = takeDigits(rest, 2, 'T');
  const auto hour = takeDigits(rest, 2, ':');
  const auto minute = takeDigits(rest, 2, ':');
  const auto second = takeDigits(rest, 2, '\0');
  if (!year || !month || !day || !hour || !minute || !second) return bad();
  std::int64_t micros = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    if (rest.empty() || rest.front() == 'Z') return bad();
    std::int64_t scale = 100'000;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      micros += (rest.front() - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{*month}, std::chrono::day{*day}};
  // 60 is a leap second: the same instant as the second after it.
  const auto offset = utcOffset(rest);
  if (!offset || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) return bad();
  return Time{std::chrono::sys_days{date}.time_since_epoch() + hours{*hour} + minutes{*minute} +
              seconds{*second} + microseconds{micros} - *offset};
}

Result<ByteCount> parseByteCount(std::string_view text) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                strCat({inQuotes(text), " ", why, " (write for example 512MiB, 1GiB, 4096)"}));
  };
  std::string_view rest = text;
  if (rest.starts_with('-')) return bad("is negative");
  const std::optional<double> number = takeNumber(rest);
  if (!number) return bad("is not a size");
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  static constexpr std::string_view kPrefixes = "KMGTPE";
  double scale = 1;
  if (!rest.empty() && rest != "B") {
    const char letter = rest.front() == 'k' ? 'K' : rest.front();
    const auto power = kPrefixes.find(letter);
    const std::string_view suffix = rest.substr(1);
    if (power == std::string_view::npos)
      return bad("has no known unit: use KiB, MiB, GiB, TiB, or kB, MB, GB, TB");
    if (suffix == "iB" || suffix == "i") {
      scale = std::pow(1024.0, static_cast<double>(power + 1));
    } else if (suffix == "B" || suffix.empty()) {
      scale = std::pow(1000.0, static_cast<double>(power + 1));
    } else {
      return bad("has no known unit: use KiB, MiB, GiB, TiB, or kB, MB, GB, TB");
    }
  }
  const double bytes = *number * scale;
  if (!(bytes <= std::pow(2.0, 60))) return bad("is more than 1 EiB");
  return ByteCount{static_cast<std::uint64_t>(std::llround(bytes))};
}

std::string formatByteCount(ByteCount bytes) {
  static constexpr std::array<const char*, 7> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes.value);
  std::size_t unit = 0;
  while (value >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? std::to_string(bytes.value) + " B" : format("%.1f %s", value, kUnits[unit]);
}

Money cost(PricePerHour price, Duration duration) {
  constexpr std::int64_t kHour = 3'600'000'000;
  std::int64_t product = 0, rounded = 0;
  if (!__builtin_mul_overflow(price.nano_usd, duration.count(), &product) &&
      !__builtin_add_overflow(product, kHour / 2, &rounded)) {
    return Money{rounded / kHour};  // many times as fast as a division of 128 bits
  }
  __extension__ typedef __int128 Int128;  // a price of a million dollars over a century overflows 64 bits
  const Int128 wide = static_cast<Int128>(price.nano_usd) * duration.count();
  return Money{static_cast<std::int64_t>((wide + kHour / 2) / kHour)};
}

std::string formatMoney(Money money) {
  constexpr std::int64_t kLeastShown = 50'000;  // below, four digits would say that it was free
  if (money.nano_usd > 0 && money.nano_usd < kLeastShown) return "<$0.0001";
  if (money.nano_usd < 0 && money.nano_usd > -kLeastShown) return ">-$0.0001";
  const double usd = static_cast<double>(money.nano_usd) / 1e9;
  const char* sign = usd < 0 ? "-" : "";
  return std::fabs(usd) < 0.99995 && money.nano_usd != 0 ? format("%s$%.4f", sign, std::fabs(usd))
                                                         : format("%s$%.2f", sign, std::fabs(usd));
}

Result<PricePerHour> priceFromUsd(double usd_per_hour) {
  if (!(usd_per_hour >= 0 && usd_per_hour <= 1e6)) {
    return fail(ErrorCode::invalid_argument, "a price is a number of USD an hour from 0 to 1,000,000");
  }
  return PricePerHour{std::llround(usd_per_hour * 1e9)};
}

}  // namespace buoy
