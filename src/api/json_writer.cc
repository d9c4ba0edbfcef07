#include "api/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "base/strings.h"

namespace buoy::api {
namespace {

// Bytes that do not stand for themselves in a JSON string, or have to be looked at first.
constexpr std::array<bool, 256> kNeedsCare = [] {
  std::array<bool, 256> table{};
  for (std::size_t byte = 0; byte < table.size(); ++byte) {
    table[byte] = byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7F;
  }
  return table;
}();

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
    while (plain < text.size() && !kNeedsCare[static_cast<unsigned char>(text[plain])]) ++plain;
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

JsonWriter& JsonWriter::plainKey(std::string_view name) {
  out_.append(comma_ ? ",\"" : "\"");
  out_.append(name);
  out_.append("\":", 2);
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
  constexpr std::array<std::uint64_t, 10> kPowers{1,       10,        100,        1'000,       10'000,
                                                  100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
  const std::uint64_t scale = kPowers[static_cast<std::size_t>(places)];
  // Negated as unsigned: the lowest int64 has no positive counterpart.
  const std::uint64_t size =
      units < 0 ? 0 - static_cast<std::uint64_t>(units) : static_cast<std::uint64_t>(units);
  std::array<char, 40> buffer;
  char* end = buffer.data();
  if (units < 0) *end++ = '-';
  end = std::to_chars(end, buffer.data() + buffer.size(), size / scale).ptr;
  if (const std::uint64_t fraction = size % scale; fraction > 0) {
    // With the leading 1 of `scale` the zeros behind the point come out too; the point takes its place.
    char* point = end;
    end = std::to_chars(point, buffer.data() + buffer.size(), scale + fraction).ptr;
    *point = '.';
    while (end[-1] == '0') --end;
  }
  return raw({buffer.data(), end});
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
