#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "base/strings.h"
#include "store/describe.h"

namespace buoy::store {

// Reads an object from text exactly as codec.cc writes it: fields in the order of describe.h and none
// unknown, no white space, no null. That needs no document between the text and the value, which makes a
// restart with many jobs several times as fast. Anything else is not read at all (whole() is false), so that
// what another version wrote, or damaged text, is left to the decoder that knows what is wrong with it. A
// visitor as describe.h wants it; one object a decoder. The text must outlive it.
class OrderedDecoder {
 public:
  explicit OrderedDecoder(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  // The whole text, which begins with `prefix` and has the fields of `value` behind it. False: it is not of
  // this form, and `value` may be half filled.
  template <class T>
  bool whole(std::string_view prefix, T& value) {
    if (static_cast<std::size_t>(end_ - at_) < prefix.size() ||
        std::memcmp(at_, prefix.data(), prefix.size()) != 0)
      return false;
    at_ += prefix.size();
    describe(*this, value);
    expect('}');
    return good_ && at_ == end_;
  }

  template <class T>
  void field(std::string_view name, T& value) {
    if (passKey(name)) get(value);
  }
  template <class T>
  void sparse(std::string_view name, T& value) {
    field(name, value);
  }

 private:
  void bad() {
    good_ = false;
    at_ = end_;  // nothing more is found
  }
  bool nextIs(char c) const { return at_ != end_ && *at_ == c; }
  void expect(char c) {
    if (!nextIs(c)) return bad();
    ++at_;
  }
  bool pass(char c) {
    if (!nextIs(c)) return false;
    ++at_;
    return true;
  }
  // The encoder leaves out what is empty: another key than `name` means that.
  bool passKey(std::string_view name) {
    const char* p = at_;
    if (p == end_) return false;
    if (p[-1] != '{' && *p++ != ',') return false;
    if (static_cast<std::size_t>(end_ - p) < name.size() + 3 || *p != '"' || p[name.size() + 1] != '"' ||
        p[name.size() + 2] != ':' || std::memcmp(p + 1, name.data(), name.size()) != 0)
      return false;
    at_ = p + name.size() + 3;
    return true;
  }

  template <class T>
  void number(T& value) {
    // As JSON has it: no leading zero, no word.
    const char* const digits = at_ + (nextIs('-') ? 1 : 0);
    const bool digit = digits != end_ && *digits >= '0' && *digits <= '9';
    if (!digit || (*digits == '0' && digits + 1 != end_ && digits[1] >= '0' && digits[1] <= '9'))
      return bad();
    const auto [end, error] = std::from_chars(at_, end_, value);
    if (error != std::errc{}) return bad();
    at_ = end;
  }
  // Between the quotes, with its escapes.
  std::string_view quoted() {
    expect('"');
    const char* const begin = at_;
    bool plain = true;
    for (; at_ != end_ && *at_ != '"'; ++at_) {
      const auto c = static_cast<unsigned char>(*at_);
      if (c < 0x20) {
        bad();
        return {};
      }
      if (c == '\\' && ++at_ == end_) break;
      plain = plain && c < 0x80;
    }
    if (at_ == end_) {
      bad();
      return {};
    }
    const std::string_view text(begin, static_cast<std::size_t>(at_++ - begin));
    if (!plain && !isValidUtf8(text)) bad();
    return text;
  }
  static int hexOf(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  }
  // Only the escapes that the encoder writes: \" \\ \u00xx.
  void unescape(std::string_view text, std::string& value) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        value += text[i];
        continue;
      }
      const char c = text[++i];  // quoted() has seen to it that there is one
      if (c == '"' || c == '\\') {
        value += c;
        continue;
      }
      const bool low = c == 'u' && i + 4 < text.size() && text[i + 1] == '0' && text[i + 2] == '0';
      const int high_digit = low ? hexOf(text[i + 3]) : -1, low_digit = low ? hexOf(text[i + 4]) : -1;
      if (high_digit < 0 || high_digit > 1 || low_digit < 0) return bad();
      value += static_cast<char>(high_digit * 16 + low_digit);
      i += 4;
    }
  }

  void get(bool& value) {
    const std::string_view left(at_, static_cast<std::size_t>(end_ - at_));
    value = left.starts_with("true");
    if (!value && !left.starts_with("false")) return bad();
    at_ += value ? 4 : 5;
  }
  template <std::integral T>
  void get(T& value) {
    number(value);
  }
  void get(double& value) {
    if (nextIs('"')) return bad();  // "nan" and the like are rare
    number(value);
  }
  void get(std::string& value) {
    const std::string_view text = quoted();
    value.clear();
    if (text.find('\\') == std::string_view::npos) {
      value = text;
    } else {
      unescape(text, value);
    }
  }
  void get(ByteCount& value) { number(value.value); }
  void get(Duration& value) {
    std::int64_t count = 0;
    number(count);
    value = Duration{count};
  }
  void get(Time& value) {
    Duration since{};
    get(since);
    value = Time{since};
  }
  void get(Money& value) { number(value.nano_usd); }
  void get(PricePerHour& value) { number(value.nano_usd); }
  template <class Tag>
  void get(Id<Tag>& value) {
    number(value.value);
  }
  template <class T>
  requires std::is_enum_v<T>
  void get(T& value) {
    const auto parsed = engine::fromString<T>(quoted());
    if (!parsed) return bad();
    value = *parsed;
  }
  template <class T>
  void get(std::optional<T>& value) {
    get(value.emplace());
  }
  template <class T>
  void get(std::unique_ptr<T>& value) {
    value = std::make_unique<T>();
    get(*value);
  }
  template <class T>
  void get(std::shared_ptr<const T>& value) {
    auto made = std::make_shared<T>();
    get(*made);
    value = std::move(made);
  }
  template <class T>
  void get(std::vector<T>& value) {
    value.clear();
    expect('[');
    if (pass(']')) return;
    do {
      get(value.emplace_back());
    } while (good_ && pass(','));
    expect(']');
  }
  template <class T, std::size_t N>
  void get(std::array<T, N>& value) {
    expect('[');
    for (std::size_t i = 0; i < N; ++i) {
      if (i > 0) expect(',');
      get(value[i]);
    }
    expect(']');
  }
  template <Described T>
  void get(T& value) {
    expect('{');
    if (!good_) return;
    describe(*this, value);
    expect('}');
  }

  const char* at_;
  const char* end_;
  bool good_ = true;
};

}  // namespace buoy::store
