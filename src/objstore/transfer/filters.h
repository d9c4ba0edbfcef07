#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace buoy::objstore {

// A shell pattern with the rules of Python's fnmatch, which are the AWS CLI's: `*` matches anything, `/` and
// line ends included, `?` one character, `[seq]` and `[!seq]` one character (not) among those; there is no
// escape, and a `[` without its `]` is itself. A character is a code point of UTF-8; a byte that is not UTF-8
// is one as well. Immutable.
class Glob {
 public:
  explicit Glob(std::string_view pattern);
  bool matches(std::string_view text) const;

 private:
  struct Token {
    enum class Kind : std::uint8_t { literal, any, star, set } kind = Kind::literal;
    char32_t literal = 0;
    bool negated = false;
    std::vector<std::pair<char32_t, char32_t>> ranges;
  };
  static Token parseSet(std::u32string_view inside);
  static bool accepts(const Token& token, char32_t character);

  std::vector<Token> tokens_;
};

// --include and --exclude in the order in which they were given: the last that matches decides, and what none
// matches is taken. As in the AWS CLI a pattern is relative to the root of the source and, so that --delete
// spares what was left out, to that of the destination; one that begins with '/' is a whole local path. Not
// changed while used; then any thread may ask.
class Filters {
 public:
  void add(bool include, std::string_view pattern);
  bool empty() const { return rules_.empty(); }
  // Absolute local paths or "bucket/prefix", with or without '/' at the end.
  void setRoots(std::string source, std::string destination);
  // `path`: a whole path below one of the roots: "/data/set/a.bin", "bucket/prefix/a.bin".
  bool admits(std::string_view path) const;
  // True: no file below `directory` can be admitted. False: some may be, by what the patterns say.
  bool excludesAllBelow(std::string_view directory) const;

 private:
  struct Rule {
    bool include;
    bool absolute;
    bool open_ended;  // what matches goes on matching, whatever follows
    Glob glob;
  };
  bool applies(const Rule& rule, std::string_view path) const;

  std::vector<Rule> rules_;
  std::string source_, destination_;  // with '/' at the end
};

}  // namespace buoy::objstore
