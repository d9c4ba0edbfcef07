#include "cli/ignore.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace buoy::cli {
namespace {

// The end of the set that begins at pattern[at] == '[', or npos.
std::size_t setEnd(std::string_view pattern, std::size_t at) {
  std::size_t end = at + 1;
  if (end < pattern.size() && (pattern[end] == '!' || pattern[end] == '^')) ++end;
  if (end < pattern.size() && pattern[end] == ']') ++end;
  return pattern.find(']', end);
}

bool inSet(std::string_view set, char c) {  // without the brackets
  const bool negated = !set.empty() && (set[0] == '!' || set[0] == '^');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (set[i] <= c && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || set[i] == c;
    }
  }
  return found != negated;
}

// Matches one component against a pattern without '/', in O(pattern × text).
bool componentMatches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::optional<std::size_t> star;
  std::size_t star_text = 0;
  while (t < text.size()) {
    const std::size_t end =
        p < pattern.size() && pattern[p] == '[' ? setEnd(pattern, p) : std::string_view::npos;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (end != std::string_view::npos && inSet(pattern.substr(p + 1, end - p - 1), text[t])) {
      p = end + 1;
      ++t;
    } else if (p < pattern.size() && end == std::string_view::npos &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star) {
      p = *star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool partsMatch(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& text) {
  // Row by row, so that many "**" cost no more than pattern × text.
  std::vector<bool> reachable(text.size() + 1, false);
  reachable[0] = true;
  for (const std::string_view part : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    bool open = false;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (part == "**") {
        open = open || reachable[i];
        next[i] = open;
      } else if (i > 0) {
        next[i] = reachable[i - 1] && componentMatches(part, text[i - 1]);
      }
    }
    reachable = std::move(next);
  }
  return reachable[text.size()];
}

}  // namespace

bool globMatches(std::string_view pattern, std::string_view text) {
  return partsMatch(split(pattern, '/'), split(text, '/'));
}

void IgnoreRules::add(std::string_view lines, const std::string& origin) {
  for (std::string_view line : split(lines, '\n')) {
    line = trim(line);
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    rule.origin = origin;
    if (line.front() == '!') {
      rule.take_back = true;
      line.remove_prefix(1);
    } else if (line.starts_with("\\#") || line.starts_with("\\!")) {
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.directories_only = true;
      line.remove_suffix(1);
    }
    rule.anchored = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) line.remove_prefix(1);
    if (line.empty()) continue;
    rule.pattern = line;
    rules_.push_back(std::move(rule));
  }
}

void IgnoreRules::addPath(std::string_view path, const std::string& origin) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return;
  Rule rule;
  rule.pattern = path;
  rule.origin = origin;
  rule.literal = true;
  rules_.push_back(std::move(rule));
}

std::string IgnoreRules::ignoredBy(std::string_view path, bool is_directory) const {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->directories_only && !is_directory) continue;
    const bool matches = rule->literal    ? path == rule->pattern
                         : rule->anchored ? globMatches(rule->pattern, path)
                                          : componentMatches(rule->pattern, name);
    if (matches) return rule->take_back ? "" : rule->origin;
  }
  return {};
}

}  // namespace buoy::cli
