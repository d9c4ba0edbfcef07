#include "api/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/strings.h"

namespace buoy::api {
namespace {

bool needsCare(unsigned char byte) {
  return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7F;
}

// The length of the UTF-8 sequence at the front of `text`; 0 if there is no valid one.
std::size_t utf8Length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  return length <= text.size() && isValidUtf8(text.substr(0, length)) ? length : 0;
}

void appendEscape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 0xF];
}

void appendTwo(std::string& out, unsigned value) {
  out += static_cast<char>('0' + value / 10);
  out += static_cast<char>('0' + value % 10);
}

}  // namespace

void appendJsonString(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && !needsCare(static_cast<unsigned char>(text[plain]))) ++plain;
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (const auto byte = static_cast<unsigned char>(text[0]); byte < 0x80) {
      appendEscape(out, byte);
      text.remove_prefix(1);
      continue;
    }
    const std::size_t length = utf8Length(text);
    out += length > 0 ? text.substr(0, length) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(length > 0 ? length : 1);
  }
  out += '"';
}

void JsonWriter::separate() {
  if (comma_) out_ += ',';
  comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  appendJsonString(out_, name);
  out_ += ':';
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::null() {
  return raw("null");
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  appendJsonString(out_, text);
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t number) {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return raw({buffer.data(), end});
}

JsonWriter& JsonWriter::unsignedInteger(std::uint64_t number) {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return raw({buffer.data(), end});
}

JsonWriter& JsonWriter::value(double number) {
  if (std::isnan(number)) return raw("\"NaN\"");
  if (std::isinf(number)) return raw(number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  std::array<char, 40> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return raw({buffer.data(), end});
}

JsonWriter& JsonWriter::decimal(std::int64_t units, int places) {
  separate();
  std::uint64_t scale = 1;
  for (int i = 0; i < places; ++i) scale *= 10;
  // Negated as unsigned: the lowest int64 has no positive counterpart.
  const std::uint64_t size =
      units < 0 ? 0 - static_cast<std::uint64_t>(units) : static_cast<std::uint64_t>(units);
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), size / scale).ptr;
  if (units < 0) out_ += '-';
  out_.append(buffer.data(), end);
  std::uint64_t rest = size % scale;
  if (rest == 0) return *this;
  out_ += '.';
  while (rest > 0) {
    scale /= 10;
    out_ += static_cast<char>('0' + rest / scale);
    rest %= scale;
  }
  return *this;
}

JsonWriter& JsonWriter::value(Time time) {
  using std::chrono::floor;
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const int year = static_cast<int>(date.year());
  // By hand: a listing of 10,000 jobs has 20,000 times, and snprintf would be most of its cost.
  if (year < 0 || year > 9999) return value(formatTime(time));
  const auto micros = static_cast<unsigned long>((time - day).count());
  const auto seconds = static_cast<unsigned>(micros / 1'000'000);
  unsigned fraction = static_cast<unsigned>(micros % 1'000'000);
  separate();
  out_ += '"';
  appendTwo(out_, static_cast<unsigned>(year) / 100);
  appendTwo(out_, static_cast<unsigned>(year) % 100);
  out_ += '-';
  appendTwo(out_, static_cast<unsigned>(date.month()));
  out_ += '-';
  appendTwo(out_, static_cast<unsigned>(date.day()));
  out_ += 'T';
  appendTwo(out_, seconds / 3600);
  out_ += ':';
  appendTwo(out_, seconds / 60 % 60);
  out_ += ':';
  appendTwo(out_, seconds % 60);
  out_ += '.';
  const bool whole_millis = fraction % 1000 == 0;
  for (unsigned scale = 100'000; scale >= (whole_millis ? 1000u : 1u); scale /= 10) {
    out_ += static_cast<char>('0' + fraction / scale);
    fraction %= scale;
  }
  out_ += "Z\"";
  return *this;
}

}  // namespace buoy::api
