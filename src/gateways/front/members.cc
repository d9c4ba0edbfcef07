#include "gateways/front/members.h"

#include "api/node.h"

namespace buoy::gateways::front {
namespace {

constexpr api::TreeLimits kOneText{.bytes = std::size_t{1} << 20, .nodes = 1, .depth = 1};

bool isSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool done() const { return at_ == text_.size(); }
  void skipSpace() {
    while (!done() && isSpace(text_[at_])) ++at_;
  }
  bool pass(char c) {
    skipSpace();
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // With its quotes; empty: there is none, or it does not end.
  std::string_view string() {
    const std::size_t begin = at_;
    if (done() || text_[at_] != '"') return {};
    for (++at_; !done(); ++at_) {
      if (text_[at_] == '"') return text_.substr(begin, ++at_ - begin);
      if (text_[at_] == '\\' && ++at_ == text_.size()) break;
    }
    return {};
  }
  // Up to the comma or bracket behind it; empty: there is none, or it does not end.
  std::string_view value() {
    skipSpace();
    const std::size_t begin = at_;
    std::size_t depth = 0;
    while (!done()) {
      const char c = text_[at_];
      if (c == '"') {
        if (string().empty()) return {};
        if (depth == 0) return text_.substr(begin, at_ - begin);
        continue;
      }
      const bool closes = c == '}' || c == ']';
      if (depth == 0 && (closes || c == ',' || isSpace(c))) return text_.substr(begin, at_ - begin);
      ++at_;
      if (c == '{' || c == '[') ++depth;
      if (closes && --depth == 0) return text_.substr(begin, at_ - begin);
    }
    return {};
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<Member>> membersOf(std::string_view object) {
  Scanner scanner(object);
  std::vector<Member> members;
  if (!scanner.pass('{')) return std::nullopt;
  bool more = !scanner.pass('}');
  while (more) {
    scanner.skipSpace();
    const std::string_view key = scanner.string();
    if (key.empty() || !scanner.pass(':')) return std::nullopt;
    const std::string_view value = scanner.value();
    if (value.empty()) return std::nullopt;
    members.push_back({textOf(key), value});
    more = scanner.pass(',');
    if (!more && !scanner.pass('}')) return std::nullopt;
  }
  scanner.skipSpace();
  if (!scanner.done()) return std::nullopt;
  return members;
}

std::string_view valueOf(const std::vector<Member>& members, std::string_view key) {
  for (const Member& member : members) {
    if (member.key == key) return member.value;
  }
  return {};
}

std::string textOf(std::string_view json) {
  if (json.size() < 2 || json.front() != '"') return {};
  if (json.find('\\') == std::string_view::npos) return std::string(json.substr(1, json.size() - 2));
  const auto parsed = api::parseJsonTree(json, kOneText);
  return parsed ? parsed->text : std::string();
}

}  // namespace buoy::gateways::front
