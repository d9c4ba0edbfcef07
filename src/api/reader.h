#pragma once

#include <concepts>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/node.h"
#include "base/ids.h"
#include "base/strings.h"
#include "base/units.h"
#include "engine/types.h"

namespace buoy::api {

// Mistakes found so far in one input, in the order found; at most kMost are kept.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  void add(Mark mark, std::string field, std::string message);
  bool has(std::string_view field) const;  // about exactly this field
  bool empty() const { return list_.empty(); }
  std::vector<Problem> take() { return std::move(list_); }

 private:
  static constexpr std::size_t kMost = 100;
  std::string file_;
  std::vector<Problem> list_;
};

// 10^-places units of a number as written, exactly; nullopt if it does not fit.
std::optional<std::int64_t> parseDecimal(std::string_view number, int places);

// Reads one map field by field: each call declares a key. A wrong value becomes a Problem and leaves `out` as
// it was. Every getter returns true when it set `out`; absent and empty (null) keys are false without a
// problem.
class MapReader {
 public:
  MapReader(Problems& problems, const Node& node, std::string path);

  // Getters for scalars. Text takes numbers and booleans too, as written.
  bool get(std::string_view key, std::string& out);
  bool get(std::string_view key, bool& out);
  bool get(std::string_view key, double& out);     // also "NaN", "Infinity", "-Infinity"
  bool get(std::string_view key, Duration& out);   // a number of seconds, or as parseDuration
  bool get(std::string_view key, ByteCount& out);  // a number of bytes, or as parseByteCount
  bool get(std::string_view key, Time& out);
  bool get(std::string_view key, Money& out);         // USD
  bool get(std::string_view key, PricePerHour& out);  // USD an hour
  template <std::integral Int>
  requires(!std::same_as<Int, bool>) bool get(std::string_view key, Int& out) {
    const std::optional<std::int64_t> value = integer(key, std::numeric_limits<Int>::min(), highest<Int>());
    if (value) out = static_cast<Int>(*value);
    return value.has_value();
  }
  template <class Tag>
  bool get(std::string_view key, Id<Tag>& out) {
    std::string text;
    if (!get(key, text)) return false;
    const auto id = Id<Tag>::parse(text);
    if (!id)
      return wrong(key, "must be an id like " + std::string(Tag::kPrefix) + "7, not " + inQuotes(text));
    out = *id;
    return true;
  }
  template <class T>
  bool get(std::string_view key, std::optional<T>& out) {
    T value{};
    if (!get(key, value)) return false;
    out = std::move(value);
    return true;
  }
  bool get(std::string_view key, std::vector<std::string>& out);            // a list of text, or one text
  bool get(std::string_view key, std::map<std::string, std::string>& out);  // a map of text to text
  bool milli(std::string_view key, std::int32_t& out);  // a number with up to three decimals, × 1000
  // A number of seconds of either sign and any size: what machines tell one another, not what people write.
  bool seconds(std::string_view key, Duration& out);
  bool seconds(std::string_view key, std::optional<Duration>& out) {
    Duration value{};
    if (!seconds(key, value)) return false;
    out = value;
    return true;
  }
  // One of the enum's words.
  template <class Enum>
  bool choice(std::string_view key, Enum& out, std::initializer_list<Enum> choices) {
    std::string text;
    if (!get(key, text)) return false;
    std::vector<std::string> words;
    for (const Enum value : choices) {
      if (sameWord(text, toString(value))) {
        out = value;
        return true;
      }
      words.emplace_back(toString(value));
    }
    return wrongChoice(key, text, words);
  }

  // Any word that engine::fromString knows.
  template <class Enum>
  bool word(std::string_view key, Enum& out) {
    std::string text;
    if (!get(key, text)) return false;
    const auto value = engine::fromString<Enum>(text);
    if (!value) return wrong(key, inQuotes(text) + " is not known here");
    out = *value;
    return true;
  }

  const Node* find(std::string_view key);  // null: absent or empty
  const Node* list(std::string_view key);  // null: absent, empty or (a problem) no list
  const Node* map(std::string_view key);
  std::string pathOf(std::string_view key) const;
  bool wrong(std::string_view key, std::string message);  // adds a problem at the key; always false
  void require(std::string_view key);                     // a problem if absent
  // Every key not declared by now is a problem, with the nearest declared key suggested.
  void refuseUnknown();

  Problems& problems() { return problems_; }
  Mark mark() const { return node_.mark; }
  std::string written() const { return toJson(node_); }  // all of it, as JSON

 private:
  template <class Int>
  static constexpr std::int64_t highest() {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    return std::cmp_greater(std::numeric_limits<Int>::max(), most)
               ? most
               : static_cast<std::int64_t>(std::numeric_limits<Int>::max());
  }
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t min, std::int64_t max);
  bool wrongChoice(std::string_view key, std::string_view text, const std::vector<std::string>& words);
  bool wrongType(std::string_view key, const Node& node, std::string_view wanted);

  Problems& problems_;
  const Node& node_;
  std::string path_;
  std::size_t next_ = 0;  // where the next key probably stands
  std::vector<std::string_view> known_;
};

// "the text 'abc'", "a list", …: what stands there, for messages.
std::string describe(const Node& node);
// A scalar's text; nullptr for lists, maps and nothing.
const std::string* scalarText(const Node& node);

}  // namespace buoy::api
