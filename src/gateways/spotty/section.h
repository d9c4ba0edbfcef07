#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/reader.h"

namespace buoy::gateways::spotty {

// Lines of spotty.override.yaml are counted from here on, so that one tree can be made of both files: a text
// that is allowed (api::kYamlLimits) has fewer.
inline constexpr int kOverrideLines = 1 << 24;

// One map of a spotty.yaml, stricter than Buoy's own files: nothing may be left empty, a number is no text.
class Section : public api::MapReader {
 public:
  Section(api::Problems& problems, const api::Node& node, std::string path);

  // Text in quotes, or what cannot be anything else.
  bool text(std::string_view key, std::string& out);
  // Text that is not empty and passes `good`; otherwise the problem is `rule`.
  bool text(std::string_view key, std::string& out, bool (*good)(std::string_view), std::string_view rule);
  bool name(std::string_view key, std::string& out);  // text or a whole number
  bool flag(std::string_view key, bool& out);         // with YAML 1.1's other words: yes, no, on, off
  bool absolutePath(std::string_view key, std::string& out);
  bool port(std::string_view key, int& out);
  bool positive(std::string_view key, std::uint64_t& out, std::uint64_t least = 1);
  bool ports(std::string_view key, std::vector<int>& out);
  bool texts(std::string_view key, std::vector<std::string>& out);
};

bool isWord(std::string_view text);  // [A-Za-z0-9_-]+
// Whether one of these directories is another or lies below it; their problem is added at the first such.
struct PlacedPath {
  api::Mark mark;
  std::string field, path;
};
void refuseNestedPaths(api::Problems& problems, const std::vector<PlacedPath>& paths);

// The problems with the files that they stand in.
std::vector<api::Problem> inTheirFiles(std::vector<api::Problem> problems, const std::string& override_file);

}  // namespace buoy::gateways::spotty
