#include "objstore/transfer/filters.h"

#include <algorithm>

namespace buoy::objstore {
namespace {

// A byte that is not UTF-8 becomes what Python's surrogateescape makes of it: no code point of a valid text.
constexpr char32_t kEscapedByte = 0xDC00;

// The code point that begins at `at`, which moves behind it.
char32_t take(std::string_view text, std::size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t left = text.size() - at;
  const auto escaped = [&] {
    ++at;
    return kEscapedByte + lead;
  };
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > left) return escaped();
  char32_t code = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[at + i]);
    if ((byte & 0xC0) != 0x80) return escaped();
    code = (code << 6) | (byte & 0x3Fu);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return escaped();
  at += length;
  return code;
}

std::u32string decode(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) result += take(text, at);
  return result;
}

// Where the set that begins behind a '[' ends: the index of its ']', or npos.
std::size_t endOfSet(std::u32string_view pattern, std::size_t begin) {
  std::size_t at = begin;
  if (at < pattern.size() && pattern[at] == U'!') ++at;
  if (at < pattern.size() && pattern[at] == U']') ++at;
  return pattern.find(U']', at);
}

// The pieces between the hyphens that make ranges. Ranges that are empty are taken out as Python does it:
// the two pieces grow together without their ends.
std::vector<std::u32string> piecesOf(std::u32string_view inside) {
  std::vector<std::u32string> pieces;
  std::size_t begin = 0;
  std::size_t search = inside.starts_with(U'!') ? 2 : 1;
  while (true) {
    const std::size_t hyphen = inside.find(U'-', search);
    if (hyphen == std::u32string_view::npos) break;
    pieces.emplace_back(inside.substr(begin, hyphen - begin));
    begin = hyphen + 1;
    search = hyphen + 3;
  }
  if (begin < inside.size() || pieces.empty()) {
    pieces.emplace_back(inside.substr(begin));
  } else {
    pieces.back() += U'-';
  }
  for (std::size_t i = pieces.size() - 1; i > 0; --i) {
    if (pieces[i - 1].back() <= pieces[i].front()) continue;
    pieces[i - 1].pop_back();
    pieces[i - 1] += pieces[i].substr(1);
    pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return pieces;
}

}  // namespace

Glob::Token Glob::parseSet(std::u32string_view inside) {
  Token token{.kind = Token::Kind::set, .literal = 0, .negated = false, .ranges = {}};
  std::vector<std::u32string> pieces = piecesOf(inside);
  if (pieces.front().starts_with(U'!')) {
    token.negated = true;
    pieces.front().erase(0, 1);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::u32string& piece = pieces[i];
    for (const char32_t c : piece) token.ranges.emplace_back(c, c);
    if (i + 1 == pieces.size()) continue;
    if (piece.empty()) {  // the '!' was all of it: the hyphen is itself
      token.ranges.emplace_back(U'-', U'-');
    } else {
      token.ranges.emplace_back(piece.back(), pieces[i + 1].front());
    }
  }
  return token;
}

Glob::Glob(std::string_view pattern) {
  const std::u32string text = decode(pattern);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == U'*') {
      // Several in a row are one.
      if (tokens_.empty() || tokens_.back().kind != Token::Kind::star)
        tokens_.push_back({.kind = Token::Kind::star, .literal = 0, .negated = false, .ranges = {}});
      continue;
    }
    if (text[at] == U'?') {
      tokens_.push_back({.kind = Token::Kind::any, .literal = 0, .negated = false, .ranges = {}});
      continue;
    }
    const std::size_t end = text[at] == U'[' ? endOfSet(text, at + 1) : std::u32string::npos;
    if (end != std::u32string::npos) {
      tokens_.push_back(parseSet(std::u32string_view(text).substr(at + 1, end - at - 1)));
      at = end;
      continue;
    }
    tokens_.push_back({.kind = Token::Kind::literal, .literal = text[at], .negated = false, .ranges = {}});
  }
}

bool Glob::accepts(const Token& token, char32_t character) {
  switch (token.kind) {
    case Token::Kind::literal:
      return token.literal == character;
    case Token::Kind::any:
    case Token::Kind::star:
      return true;
    case Token::Kind::set:
      break;
  }
  const bool among = std::any_of(token.ranges.begin(), token.ranges.end(), [character](const auto& range) {
    return range.first <= character && character <= range.second;
  });
  return among != token.negated;
}

// Only the last star needs to be tried again: what stands before it has matched as early as it can.
bool Glob::matches(std::string_view text) const {
  std::size_t token = 0, at = 0;
  std::size_t star = std::string_view::npos, star_at = 0;
  while (at < text.size()) {
    if (token < tokens_.size() && tokens_[token].kind == Token::Kind::star) {
      star = token++;
      star_at = at;
      continue;
    }
    std::size_t next = at;
    if (token < tokens_.size() && accepts(tokens_[token], take(text, next))) {
      ++token;
      at = next;
      continue;
    }
    if (star == std::string_view::npos) return false;
    take(text, star_at);
    token = star + 1;
    at = star_at;
  }
  while (token < tokens_.size() && tokens_[token].kind == Token::Kind::star) ++token;
  return token == tokens_.size();
}

void Filters::add(bool include, std::string_view pattern) {
  rules_.push_back({include, pattern.starts_with('/'), pattern.ends_with('*'), Glob(pattern)});
}

void Filters::setRoots(std::string source, std::string destination) {
  source_ = std::move(source);
  destination_ = std::move(destination);
  for (std::string* root : {&source_, &destination_}) {
    if (!root->ends_with('/')) *root += '/';
  }
}

bool Filters::applies(const Rule& rule, std::string_view path) const {
  if (rule.absolute) return rule.glob.matches(path);
  for (const std::string& root : {std::cref(source_), std::cref(destination_)}) {
    if (path.starts_with(root) && rule.glob.matches(path.substr(root.size()))) return true;
  }
  return false;
}

bool Filters::admits(std::string_view path) const {
  const auto last = std::find_if(rules_.rbegin(), rules_.rend(),
                                 [this, path](const Rule& rule) { return applies(rule, path); });
  return last == rules_.rend() || last->include;
}

bool Filters::excludesAllBelow(std::string_view directory) const {
  std::string below(directory);
  if (!below.ends_with('/')) below += '/';
  for (auto rule = rules_.rbegin(); rule != rules_.rend() && !rule->include; ++rule) {
    if (rule->open_ended && applies(*rule, below)) return true;
  }
  return false;
}

}  // namespace buoy::objstore
