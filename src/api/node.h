#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/job_spec.h"

namespace buoy::api {

// A place in a text: 1-based, 0 unknown.
struct Mark {
  int line = 0, column = 0;
};

// What YAML and JSON have in common, with the place where everything stands: both are turned into this, and
// one set of readers (reader.h) takes it from there. A number's text is as JSON writes numbers.
struct Node {
  enum class Kind : std::uint8_t { null, boolean, number, string, list, map };
  Kind kind = Kind::null;
  Mark mark;
  Mark key_mark;
  std::string key;          // of an entry of a map
  std::string text;         // of a boolean, number or string
  std::vector<Node> items;  // of a list or map, in the order written; keys of a map are unique

  const Node* find(std::string_view name) const;  // null: not a map, or no such key
};

// Beyond these a text is refused before it can cost much.
struct TreeLimits {
  std::size_t bytes = std::size_t{1} << 20;  // of the text
  std::size_t nodes = 10'000;                // after aliases are expanded
  std::size_t depth = 32;
};
inline constexpr TreeLimits kYamlLimits{};
// A specification that is allowed (job_rules.cc) always fits, however much of it must be escaped.
inline constexpr TreeLimits kSpecJsonLimits{.bytes = std::size_t{16} << 20, .nodes = 20'000, .depth = 32};
// What a peer of our own sends: listings, histories, metrics.
inline constexpr TreeLimits kMessageLimits{.bytes = std::size_t{256} << 20, .nodes = 20'000'000, .depth = 64};

// Both refuse invalid UTF-8, duplicate keys and whatever exceeds the limits, and never throw. `file` is for
// messages. YAML: anchors, aliases and merges (<<) are resolved; several documents and tags other than !!str
// are refused.
Parsed<Node> parseYamlTree(std::string_view text, const std::string& file,
                           const TreeLimits& limits = kYamlLimits);
Parsed<Node> parseJsonTree(std::string_view text, const TreeLimits& limits);

std::string toJson(const Node& node);

// The node that a Problem's field names ("checkpoint.keep", "outputs[1]"); null if there is none.
const Node* findByPath(const Node& root, std::string_view path);
// True if `text` is a number as JSON writes it.
bool isJsonNumber(std::string_view text);
// The first key that stands twice in a map; null: none.
const Node* duplicateKey(const Node& map);
Problem problemAt(const std::string& file, Mark mark, std::string field, std::string message);

}  // namespace buoy::api
