#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/ids.h"
#include "base/units.h"

namespace buoy::api {

// Appends `text` as a JSON string. Bytes that are not UTF-8 become U+FFFD, so the result is always valid
// JSON.
void appendJsonString(std::string& out, std::string_view text);

// Appends JSON to a string, token by token; commas are put where they belong. The caller balances begin and
// end. Not thread-safe; the string must outlive it.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& beginObject() { return open('{'); }
  JsonWriter& endObject() { return close('}'); }
  JsonWriter& beginArray() { return open('['); }
  JsonWriter& endArray() { return close(']'); }
  JsonWriter& key(std::string_view name);
  // A literal is taken as it is: it must not need escapes.
  template <std::size_t kSize>
  JsonWriter& key(const char (&name)[kSize]) {
    return plainKey({name, kSize - 1});
  }

  JsonWriter& null();
  JsonWriter& raw(std::string_view json);  // a whole value, already JSON
  // `units` × 10^-places, exactly: decimal(1500000, 6) is 1.5. At most 9 places.
  JsonWriter& decimal(std::int64_t units, int places);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::same_as<bool> auto flag) { return raw(flag ? "true" : "false"); }
  JsonWriter& value(
      double number);  // shortest that reads back the same; "NaN", "Infinity", "-Infinity" as strings
  template <std::integral Int>
  requires(!std::same_as<Int, bool>) JsonWriter& value(Int number) {
    if constexpr (std::is_signed_v<Int>) {
      return integer(static_cast<std::int64_t>(number));
    } else {
      return unsignedInteger(static_cast<std::uint64_t>(number));
    }
  }
  JsonWriter& value(Time time);  // RFC 3339: milliseconds, or microseconds where there are any
  JsonWriter& value(Duration duration) { return decimal(duration.count(), 6); }  // seconds
  JsonWriter& value(Money money) { return decimal(money.nano_usd, 9); }          // USD
  JsonWriter& value(PricePerHour price) { return decimal(price.nano_usd, 9); }   // USD an hour
  JsonWriter& value(ByteCount bytes) { return value(bytes.value); }
  template <class Tag>
  JsonWriter& value(Id<Tag> id) {  // null for none
    return id ? value(id.toString()) : null();
  }

  template <std::size_t kSize, class T>
  JsonWriter& field(const char (&name)[kSize], const T& content) {
    plainKey({name, kSize - 1});
    return value(content);
  }
  template <class T>
  JsonWriter& field(std::string_view name, const T& content) {
    key(name);
    return value(content);
  }

 private:
  JsonWriter& plainKey(std::string_view name);
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& integer(std::int64_t number);
  JsonWriter& unsignedInteger(std::uint64_t number);
  void separate();

  std::string& out_;
  bool comma_ = false;  // a value stands before: the next key or value needs a comma
};

}  // namespace buoy::api
