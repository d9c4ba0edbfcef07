#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace buoy {

// The number that all of `text` is: decimal digits, a minus where the type has one; for floating point also a
// fraction, an exponent, "inf" and "nan". False, and `number` as it was: it is something else, or does not
// fit into the type.
template <class Number>
bool parseNumber(std::string_view text, Number& number) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  number = value;
  return true;
}

template <class Number>
std::optional<Number> parseNumber(std::string_view text) {
  Number number{};
  return parseNumber(text, number) ? std::optional(number) : std::nullopt;
}

}  // namespace buoy
