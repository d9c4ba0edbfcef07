#include "gateways/logs/filter_pattern.h"

#include <algorithm>

namespace buoy::gateways::logs {
namespace {

constexpr std::size_t kLongest = 1024;

}  // namespace

Result<FilterPattern> FilterPattern::parse(std::string_view text) {
  const auto bad = [](std::string message) {
    return fail(ErrorCode::invalid_argument, "filterPattern: " + message);
  };
  if (text.size() > kLongest) return bad("is longer than 1024 bytes");
  FilterPattern pattern;
  std::size_t at = 0;
  for (;;) {
    while (at < text.size() && text[at] == ' ') ++at;
    if (at == text.size()) return pattern;
    if (text[at] == '{' || text[at] == '[' || text[at] == '%')
      return bad("only words are supported, such as: error \"out of memory\" -retry");
    std::vector<std::string>* words = &pattern.all_;
    if (text[at] == '?' || text[at] == '-') words = text[at++] == '?' ? &pattern.any_ : &pattern.none_;
    const bool quoted = at < text.size() && text[at] == '"';
    const std::size_t end = quoted ? text.find('"', at + 1) : std::min(text.find(' ', at), text.size());
    if (end == std::string_view::npos) return bad("a quote is not closed");
    const std::size_t begin = quoted ? at + 1 : at;
    if (end == begin) return bad("an empty word");
    words->emplace_back(text.substr(begin, end - begin));
    at = quoted ? end + 1 : end;
  }
}

bool FilterPattern::matches(std::string_view message) const {
  const auto has = [&](const std::string& word) { return message.find(word) != std::string_view::npos; };
  return std::all_of(all_.begin(), all_.end(), has) && std::none_of(none_.begin(), none_.end(), has) &&
         (any_.empty() || std::any_of(any_.begin(), any_.end(), has));
}

}  // namespace buoy::gateways::logs
