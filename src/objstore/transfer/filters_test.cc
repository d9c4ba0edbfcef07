#include "objstore/transfer/filters.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace buoy::objstore {
namespace {

struct Case {
  const char* pattern;
  const char* text;
  bool matches;
};

TEST(Glob, FollowsPythonsFnmatch) {
  // Each line is what fnmatch.fnmatch(text, pattern) of Python 3.11 says.
  const std::vector<Case> cases = {
      {"*", "", true},
      {"*", "a/b\nc", true},
      {"", "", true},
      {"", "a", false},
      {"*.txt", "a/b.txt", true},
      {"*.txt", "a.txt.gz", false},
      {"a*b*c", "axxbyybzzc", true},
      {"a*b*c", "axxbyy", false},
      {"?", "/", true},
      {"?", "ü", true},
      {"??", "ü", false},
      {"?", "😀", true},
      {"[ab]", "b", true},
      {"[ab]", "c", false},
      {"[!ab]", "c", true},
      {"[!ab]", "a", false},
      {"[^ab]", "^", true},
      {"[^ab]", "c", false},
      {"[a-c]", "b", true},
      {"[c-a]", "b", false},
      {"[!c-a]", "b", true},
      {"[c-ax]", "x", true},
      {"[a-]", "-", true},
      {"[-a]", "-", true},
      {"[a-c-e]", "-", true},
      {"[a-c-e]", "e", true},
      {"[a-c-e]", "d", false},
      {"[]]", "]", true},
      {"[!]]", "]", false},
      {"[!]]", "x", true},
      {"[]", "[]", true},
      {"[!]", "[!]", true},
      {"[", "[", true},
      {"[a", "[a", true},
      {"a[b", "ab", false},
      {"[[]", "[", true},
      {"[\\]", "\\", true},
      {"\\*", "\\x", true},
      {"\\*", "*", false},
      {"[ä-ö]", "å", true},
      {"[ä-ö]", "ü", false},
      {"[&&a]", "&", true},
      {"[a||b]", "|", true},
      {"[--/]", ".", true},
      {"[b-a!]", "z", true},
      {"[b-a!z]", "z", false},
      {"[^-!!-!]*", "-", false},
      {"[^-!!-!]*", "^", true},
      {"A", "a", false},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Glob(one.pattern).matches(one.text), one.matches) << one.pattern << " on " << one.text;
  }
}

TEST(Glob, TakesAByteThatIsNotUtf8AsOneCharacter) {
  EXPECT_TRUE(Glob("?").matches("\xff"));
  EXPECT_TRUE(Glob("\xff").matches("\xff"));
  EXPECT_FALSE(Glob("?").matches("\xc3\xc3"));
  EXPECT_TRUE(Glob("a[\xfe-\xff]").matches("a\xfe"));
}

TEST(Glob, NeedsNoExponentialTime) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "a*";
  EXPECT_FALSE(Glob(pattern + "b").matches(std::string(1024, 'a')));
}

TEST(Filters, TakeAllWithoutRules) {
  Filters filters;
  filters.setRoots("/data", "bucket/prefix");
  EXPECT_TRUE(filters.admits("/data/a"));
}

TEST(Filters, LastMatchDecides) {
  Filters filters;
  filters.add(false, "*");
  filters.add(true, "*.txt");
  filters.add(false, "secret*");
  filters.setRoots("/data", "bucket/prefix/");
  EXPECT_FALSE(filters.admits("/data/a.bin"));
  EXPECT_TRUE(filters.admits("/data/deep/down/a.txt"));
  EXPECT_FALSE(filters.admits("/data/secret/a.txt"));
  // The same below the destination, for --delete.
  EXPECT_TRUE(filters.admits("bucket/prefix/deep/a.txt"));
  EXPECT_FALSE(filters.admits("bucket/prefix/secret.txt"));
}

TEST(Filters, OrderMatters) {
  Filters filters;
  filters.add(true, "*.txt");
  filters.add(false, "*");
  filters.setRoots("/data", "bucket");
  EXPECT_FALSE(filters.admits("/data/a.txt"));
}

TEST(Filters, PatternsAreRelativeToTheRoots) {
  Filters filters;
  filters.add(false, "data/*");
  filters.setRoots("/data", "bucket/data");
  EXPECT_TRUE(filters.admits("/data/a"));
  EXPECT_FALSE(filters.admits("/data/data/a"));
  EXPECT_FALSE(filters.admits("bucket/data/data/a"));
}

TEST(Filters, RootsMayHoldSpecialCharacters) {
  Filters filters;
  filters.add(false, "*.tmp");
  filters.setRoots("/da[t]a*", "bucket");
  EXPECT_FALSE(filters.admits("/da[t]a*/x.tmp"));
  EXPECT_TRUE(filters.admits("/da[t]a*/x"));
}

TEST(Filters, AWholePathIsLeftAsItIs) {
  Filters filters;
  filters.add(false, "/data/cache/*");
  filters.setRoots("/data", "bucket");
  EXPECT_FALSE(filters.admits("/data/cache/a"));
  EXPECT_TRUE(filters.admits("/data/a"));
  EXPECT_TRUE(filters.admits("bucket/data/cache/a"));
}

TEST(Filters, KnowWhatIsExcludedAsAWhole) {
  const auto excludes = [](std::vector<std::pair<bool, std::string>> rules) {
    Filters filters;
    for (const auto& [include, pattern] : rules) filters.add(include, pattern);
    filters.setRoots("/data", "bucket");
    return filters.excludesAllBelow("/data/private/");
  };
  EXPECT_FALSE(excludes({}));
  EXPECT_TRUE(excludes({{false, "*"}}));
  EXPECT_TRUE(excludes({{false, "private/*"}}));
  EXPECT_TRUE(excludes({{true, "*.csv"}, {false, "priv*"}}));
  EXPECT_FALSE(excludes({{false, "*"}, {true, "*.csv"}})) << "a table in it would be admitted";
  EXPECT_FALSE(excludes({{false, "*.tmp"}}));
  EXPECT_FALSE(excludes({{false, "private/?*"}, {false, "other/*"}})) << "in doubt it is not";
}

// The obvious matcher for what has no sets, which takes exponential time.
bool plainMatch(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*')
    return plainMatch(pattern.substr(1), text) || (!text.empty() && plainMatch(pattern, text.substr(1)));
  return !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]) &&
         plainMatch(pattern.substr(1), text.substr(1));
}

RC_GTEST_PROP(GlobProperty, AgreesWithTheObviousMatcher, ()) {
  const auto letters = [](const char* from) {
    return rc::gen::resize(12, rc::gen::container<std::string>(rc::gen::elementOf(std::string(from))));
  };
  const auto pattern = *letters("ab/?**");
  const auto text = *letters("ab/");
  RC_ASSERT(Glob(pattern).matches(text) == plainMatch(pattern, text));
}

}  // namespace
}  // namespace buoy::objstore
