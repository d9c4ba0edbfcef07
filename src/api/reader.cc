#include "api/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace buoy::api {

void Problems::add(Mark mark, std::string field, std::string message) {
  if (list_.size() < kMost) list_.push_back(problemAt(file_, mark, std::move(field), std::move(message)));
}

bool Problems::has(std::string_view field) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Problem& problem) { return problem.field == field; });
}

std::optional<std::int64_t> parseDecimal(std::string_view number, int places) {
  if (!isJsonNumber(number)) return std::nullopt;
  if (number.find_first_of("eE") != std::string_view::npos) {
    double value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    const double scaled = value * std::pow(10.0, places);
    if (error != std::errc{} || !(std::fabs(scaled) < 9e18)) return std::nullopt;
    return std::llround(scaled);
  }
  const bool negative = number.starts_with('-');
  if (negative) number.remove_prefix(1);
  std::int64_t units = 0;
  int fraction = -1;  // digits after the point; -1: before it
  bool round_up = false;
  for (const char c : number) {
    if (c == '.') {
      fraction = 0;
      continue;
    }
    if (fraction == places) {
      round_up = c >= '5';
      break;
    }
    if (fraction >= 0) ++fraction;
    if (__builtin_mul_overflow(units, 10, &units) || __builtin_add_overflow(units, c - '0', &units))
      return std::nullopt;
  }
  for (int i = std::max(fraction, 0); i < places; ++i) {
    if (__builtin_mul_overflow(units, 10, &units)) return std::nullopt;
  }
  if (round_up && __builtin_add_overflow(units, 1, &units)) return std::nullopt;
  return negative ? -units : units;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "nothing";
    case Node::Kind::boolean:
      return node.text;
    case Node::Kind::number:
      return "the number " + (node.text.size() > 40 ? "…" : node.text);
    case Node::Kind::string:
      return "the text " + inQuotes(node.text);
    case Node::Kind::list:
      return "a list";
    case Node::Kind::map:
      return "a map";
  }
  return "nothing";
}

const std::string* scalarText(const Node& node) {
  const bool scalar =
      node.kind == Node::Kind::boolean || node.kind == Node::Kind::number || node.kind == Node::Kind::string;
  return scalar ? &node.text : nullptr;
}

MapReader::MapReader(Problems& problems, const Node& node, std::string path)
    : problems_(problems), node_(node), path_(std::move(path)) {
  if (node_.kind != Node::Kind::map)
    problems_.add(node_.mark, path_, "must be a map of keys to values, not " + describe(node_));
}

std::string MapReader::pathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : strCat({path_, ".", key});
}

const Node* MapReader::find(std::string_view key) {
  known_.push_back(key);
  if (node_.kind != Node::Kind::map) return nullptr;
  const std::size_t size = node_.items.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t at = next_ + i < size ? next_ + i : next_ + i - size;
    if (node_.items[at].key != key) continue;
    next_ = at + 1 < size ? at + 1 : 0;
    return node_.items[at].kind == Node::Kind::null ? nullptr : &node_.items[at];
  }
  return nullptr;
}

bool MapReader::wrong(std::string_view key, std::string message) {
  const Node* node = node_.find(key);
  problems_.add(node != nullptr ? node->mark : node_.mark, pathOf(key), std::move(message));
  return false;
}

bool MapReader::wrongType(std::string_view key, const Node& node, std::string_view wanted) {
  problems_.add(node.mark, pathOf(key), strCat({"must be ", wanted, ", not ", describe(node)}));
  return false;
}

bool MapReader::wrongChoice(std::string_view key, std::string_view text,
                            const std::vector<std::string>& words) {
  const auto meant = nearest(text, words);
  return wrong(key, strCat({"must be one of ", join(words, ", "), "; not ", inQuotes(text),
                            meant ? "; did you mean '" + *meant + "'?" : std::string()}));
}

void MapReader::require(std::string_view key) {
  if (node_.kind == Node::Kind::map && find(key) == nullptr && !problems_.has(pathOf(key))) {
    problems_.add(node_.mark, pathOf(key), "is required");
  }
}

void MapReader::refuseUnknown() {
  if (node_.kind != Node::Kind::map) return;
  for (const Node& item : node_.items) {
    if (std::find(known_.begin(), known_.end(), item.key) != known_.end()) continue;
    std::vector<std::string> candidates;  // a key may have been asked for more than once
    for (const std::string_view key : known_) {
      if (std::find(candidates.begin(), candidates.end(), key) == candidates.end())
        candidates.emplace_back(key);
    }
    // A long key costs quadratic time to compare and is no slip of the finger.
    const auto meant = item.key.size() <= 64 ? nearest(item.key, candidates) : std::nullopt;
    problems_.add(
        item.key_mark, pathOf(isValidUtf8(item.key) && item.key.size() <= 64 ? item.key : inQuotes(item.key)),
        strCat({"unknown key ", inQuotes(item.key),
                meant ? "; did you mean '" + *meant + "'?" : "; known here: " + join(candidates, ", ")}));
  }
}

bool MapReader::get(std::string_view key, std::string& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  const std::string* text = scalarText(*node);
  if (text == nullptr) return wrongType(key, *node, "text");
  out = *text;
  return true;
}

bool MapReader::get(std::string_view key, bool& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  if (node->kind != Node::Kind::boolean) return wrongType(key, *node, "true or false");
  out = node->text == "true";
  return true;
}

bool MapReader::get(std::string_view key, double& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  if (node->kind == Node::Kind::string) {
    if (node->text == "NaN") return out = std::nan(""), true;
    if (node->text == "Infinity") return out = HUGE_VAL, true;
    if (node->text == "-Infinity") return out = -HUGE_VAL, true;
  }
  if (node->kind != Node::Kind::number) return wrongType(key, *node, "a number");
  double value = 0;
  const auto [end, error] = std::from_chars(node->text.data(), node->text.data() + node->text.size(), value);
  if (error != std::errc{}) return wrongType(key, *node, "a number from -1e308 to 1e308");
  out = value;
  return true;
}

std::optional<std::int64_t> MapReader::integer(std::string_view key, std::int64_t min, std::int64_t max) {
  const Node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::int64_t value = 0;
  const char* last = node->text.data() + node->text.size();
  const auto [end, error] = std::from_chars(node->text.data(), last, value);
  if (node->kind != Node::Kind::number || (error == std::errc{} && end != last)) {
    wrongType(key, *node, "a whole number");
    return std::nullopt;
  }
  if (error != std::errc{} || value < min || value > max) {
    wrong(key, node->text.starts_with('-') ? "is too small, or must not be negative" : "is too large");
    return std::nullopt;
  }
  return value;
}

bool MapReader::milli(std::string_view key, std::int32_t& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  if (node->kind != Node::Kind::number) return wrongType(key, *node, "a number such as 2 or 0.5");
  const auto value = parseDecimal(node->text, 3);
  if (!value || *value > std::numeric_limits<std::int32_t>::max() ||
      *value < std::numeric_limits<std::int32_t>::min()) {
    return wrong(key, "is too large");
  }
  if (*value == 0 && node->text.find_first_of("123456789") != std::string::npos) {
    return wrong(key, "must be at least 0.001, not " + node->text.substr(0, 40));
  }
  out = static_cast<std::int32_t>(*value);
  return true;
}

bool MapReader::get(std::string_view key, Duration& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  const std::string* text = scalarText(*node);
  if (text == nullptr || node->kind == Node::Kind::boolean)
    return wrongType(key, *node, "a duration such as 90s, 2h30m or 45");
  auto value = parseDuration(*text);
  if (!value) return wrong(key, std::move(value).error().message);
  out = *value;
  return true;
}

bool MapReader::seconds(std::string_view key, Duration& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  const auto value = node->kind == Node::Kind::number ? parseDecimal(node->text, 6) : std::nullopt;
  if (!value) return wrongType(key, *node, "a number of seconds");
  out = Duration{*value};
  return true;
}

bool MapReader::get(std::string_view key, ByteCount& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  const std::string* text = scalarText(*node);
  if (text == nullptr || node->kind == Node::Kind::boolean)
    return wrongType(key, *node, "a size such as 512MiB or 1GiB");
  auto value = parseByteCount(*text);
  if (!value) return wrong(key, std::move(value).error().message);
  out = *value;
  return true;
}

bool MapReader::get(std::string_view key, Time& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  if (node->kind != Node::Kind::string) return wrongType(key, *node, "a time such as 2026-11-21T01:22:03Z");
  auto value = parseTime(node->text);
  if (!value) return wrong(key, std::move(value).error().message);
  out = *value;
  return true;
}

bool MapReader::get(std::string_view key, Money& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  const auto value = node->kind == Node::Kind::number ? parseDecimal(node->text, 9) : std::nullopt;
  if (!value) return wrongType(key, *node, "an amount in USD");
  out = Money{*value};
  return true;
}

bool MapReader::get(std::string_view key, PricePerHour& out) {
  constexpr std::int64_t kHighest = 1'000'000'000'000'000;  // a million USD an hour
  const Node* node = find(key);
  if (node == nullptr) return false;
  const auto value = node->kind == Node::Kind::number ? parseDecimal(node->text, 9) : std::nullopt;
  if (!value || *value < 0 || *value > kHighest)
    return wrongType(key, *node, "a price in USD an hour from 0 to 1,000,000");
  out = PricePerHour{*value};
  return true;
}

bool MapReader::get(std::string_view key, std::vector<std::string>& out) {
  const Node* node = find(key);
  if (node == nullptr) return false;
  if (const std::string* text = scalarText(*node)) {
    out = {*text};
    return true;
  }
  if (node->kind != Node::Kind::list) return wrongType(key, *node, "a list of texts");
  std::vector<std::string> texts;
  bool good = true;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const std::string* text = scalarText(node->items[i]);
    if (text != nullptr) {
      texts.push_back(*text);
      continue;
    }
    problems_.add(node->items[i].mark, strCat({pathOf(key), "[", std::to_string(i), "]"}),
                  "must be text, not " + describe(node->items[i]));
    good = false;
  }
  if (good) out = std::move(texts);
  return good;
}

bool MapReader::get(std::string_view key, std::map<std::string, std::string>& out) {
  const Node* node = map(key);
  if (node == nullptr) return false;
  std::map<std::string, std::string> texts;
  bool good = true;
  for (const Node& item : node->items) {
    // An empty value is an empty text: `env: {FLAG: }`.
    const std::string* text = item.kind == Node::Kind::null ? &item.text : scalarText(item);
    if (text != nullptr) {
      texts.emplace(item.key, *text);
      continue;
    }
    problems_.add(item.mark, strCat({pathOf(key), ".", item.key}), "must be text, not " + describe(item));
    good = false;
  }
  if (good) out = std::move(texts);
  return good;
}

const Node* MapReader::list(std::string_view key) {
  const Node* node = find(key);
  if (node == nullptr || node->kind == Node::Kind::list) return node;
  wrongType(key, *node, "a list");
  return nullptr;
}

const Node* MapReader::map(std::string_view key) {
  const Node* node = find(key);
  if (node == nullptr || node->kind == Node::Kind::map) return node;
  wrongType(key, *node, "a map of keys to values");
  return nullptr;
}

}  // namespace buoy::api
