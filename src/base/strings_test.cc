#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace buoy {
namespace {

using testing::ElementsAre;

TEST(Strings, SplitKeepsEmptyPieces) {
  EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
}

TEST(Strings, JoinAndConcatenate) {
  const std::vector<std::string> parts{"a", "b", "c"};
  EXPECT_EQ(join(parts, ", "), "a, b, c");
  EXPECT_EQ(join(std::span(parts).first(1), ", "), "a");
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(strCat({"a", "", "bc"}), "abc");
}

TEST(Strings, TrimTakesSpaceAtBothEnds) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Strings, Utf8IsCheckedToTheLetter) {
  for (const char* good : {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8C\x8A", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(isValidUtf8(good)) << good;
  }
  // Stray, cut short, overlong, surrogate, beyond U+10FFFF.
  for (const char* bad : {"\x80", "\xC3", "\xE2\x82", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xFF", "a\xC3z"}) {
    EXPECT_FALSE(isValidUtf8(bad)) << bad;
  }
}

TEST(Strings, HexIsLowerCaseAndHasLeadingZeros) {
  const std::array<unsigned char, 3> bytes{0x00, 0x0F, 0xAB};
  EXPECT_EQ(toHex(bytes), "000fab");
}

TEST(Strings, QuotesAreFitForATerminal) {
  EXPECT_EQ(inQuotes("abc"), "'abc'");
  EXPECT_EQ(inQuotes("a\x1b[31mb\n"), "'a?[31mb?'");
  EXPECT_EQ(inQuotes(std::string(100, 'x')), "'" + std::string(60, 'x') + "…'");
  const std::string cut = inQuotes(std::string(59, 'x') + "\xE2\x82\xAC\xE2\x82\xAC");
  EXPECT_TRUE(isValidUtf8(cut)) << cut;
}

TEST(Strings, WordsAreTheSameWithEitherDash) {
  EXPECT_TRUE(sameWord("on-demand", "on_demand"));
  EXPECT_TRUE(sameWord("spot", "spot"));
  EXPECT_FALSE(sameWord("on-demand", "ondemand"));
  EXPECT_FALSE(sameWord("on-demand", "on-deman"));
}

TEST(Strings, NearestFindsWhatWasMeant) {
  const std::vector<std::string> keys{"machines", "metrics", "max_run", "env"};
  EXPECT_EQ(nearest("machnies", keys), "machines");
  EXPECT_EQ(nearest("machine", keys), "machines");
  EXPECT_EQ(nearest("enf", keys), "env");
  EXPECT_EQ(nearest("evn", keys), "env") << "swapped letters are one mistake";
  EXPECT_EQ(nearest("vne", keys), std::nullopt);
  EXPECT_EQ(nearest("colour", keys), std::nullopt);
  EXPECT_EQ(nearest("", keys), std::nullopt);
  EXPECT_EQ(nearest("env", {}), std::nullopt);
}

}  // namespace
}  // namespace buoy
