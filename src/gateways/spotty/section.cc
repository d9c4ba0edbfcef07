#include "gateways/spotty/section.h"

#include <algorithm>
#include <array>

namespace buoy::gateways::spotty {
namespace {

constexpr int kHighestPort = 65'535;

bool isOneOf(const std::string& word, const std::array<const char*, 8>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool isBelow(std::string_view path, std::string_view directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
  if (!path.starts_with(directory)) return false;
  return path.size() == directory.size() || directory == "/" || path[directory.size()] == '/';
}

}  // namespace

Section::Section(api::Problems& problems, const api::Node& node, std::string path)
    : MapReader(problems, node, std::move(path)) {
  for (const api::Node& item : node.items) {
    if (node.kind == api::Node::Kind::map && item.kind == api::Node::Kind::null)
      wrong(item.key, "is empty: give it a value or leave the key out");
  }
}

bool Section::text(std::string_view key, std::string& out) {
  const api::Node* const node = find(key);
  if (node == nullptr) return false;
  if (node->kind != api::Node::Kind::string)
    return wrong(key, strCat({"must be text, not ", api::describe(*node),
                              api::scalarText(*node) == nullptr ? "" : ": put it in quotes"}));
  out = node->text;
  return true;
}

bool Section::text(std::string_view key, std::string& out, bool (*good)(std::string_view),
                   std::string_view rule) {
  std::string value;
  if (!text(key, value)) return false;
  if (!good(value)) return wrong(key, strCat({rule, ", not ", inQuotes(value)}));
  out = std::move(value);
  return true;
}

bool Section::name(std::string_view key, std::string& out) {
  const api::Node* const node = find(key);
  const bool whole = node != nullptr && node->kind == api::Node::Kind::number &&
                     node->text.find_first_not_of("0123456789") == std::string::npos;
  if (!whole) return text(key, out);
  out = node->text;
  return true;
}

bool Section::flag(std::string_view key, bool& out) {
  const api::Node* const node = find(key);
  if (node == nullptr) return false;
  const std::string* const word = api::scalarText(*node);
  if (word != nullptr && isOneOf(*word, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On"}))
    return out = true, true;
  if (word != nullptr && isOneOf(*word, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off"}))
    return out = false, true;
  return wrong(key, "must be true or false, not " + api::describe(*node));
}

bool Section::absolutePath(std::string_view key, std::string& out) {
  return text(
      key, out, [](std::string_view path) { return path.starts_with('/'); }, "must be an absolute path");
}

bool Section::port(std::string_view key, int& out) {
  int value = 0;
  if (!get(key, value)) return false;
  if (value < 1 || value > kHighestPort) return wrong(key, "must be a port from 1 to 65535");
  out = value;
  return true;
}

bool Section::positive(std::string_view key, std::uint64_t& out, std::uint64_t least) {
  std::uint64_t value = 0;
  if (!get(key, value)) return false;
  if (value < least) return wrong(key, "must be at least " + std::to_string(least));
  out = value;
  return true;
}

bool Section::ports(std::string_view key, std::vector<int>& out) {
  const api::Node* const node = list(key);
  if (node == nullptr) return false;
  std::vector<int> found;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const api::Node& item = node->items[i];
    const auto number = api::parseDecimal(item.text, 0);
    const std::string field = strCat({pathOf(key), "[", std::to_string(i), "]"});
    if (item.kind != api::Node::Kind::number || !number || *number < 1 || *number > kHighestPort ||
        item.text.find_first_of(".eE") != std::string::npos) {
      problems().add(item.mark, field, "must be a port from 1 to 65535, not " + api::describe(item));
    } else if (std::find(found.begin(), found.end(), static_cast<int>(*number)) == found.end()) {
      found.push_back(static_cast<int>(*number));
    }
  }
  out = std::move(found);
  return true;
}

bool Section::texts(std::string_view key, std::vector<std::string>& out) {
  const api::Node* const node = list(key);
  if (node == nullptr) return false;
  std::vector<std::string> found;
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    if (node->items[i].kind == api::Node::Kind::string) {
      found.push_back(node->items[i].text);
      continue;
    }
    problems().add(node->items[i].mark, strCat({pathOf(key), "[", std::to_string(i), "]"}),
                   "must be text, not " + api::describe(node->items[i]));
  }
  out = std::move(found);
  return true;
}

bool isWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

void refuseNestedPaths(api::Problems& problems, const std::vector<PlacedPath>& paths) {
  for (std::size_t i = 0; i < paths.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (!isBelow(paths[i].path, paths[k].path) && !isBelow(paths[k].path, paths[i].path)) continue;
      problems.add(paths[i].mark, paths[i].field,
                   strCat({inQuotes(paths[i].path), " and ", inQuotes(paths[k].path), " of ", paths[k].field,
                           " lie one in the other, or are the same: keep them beside each other"}));
      return;
    }
  }
}

std::vector<api::Problem> inTheirFiles(std::vector<api::Problem> problems, const std::string& override_file) {
  for (api::Problem& problem : problems) {
    if (problem.line < kOverrideLines) continue;
    problem.line -= kOverrideLines;
    problem.file = override_file;
  }
  return problems;
}

}  // namespace buoy::gateways::spotty
