#include "aws/ini_file.h"

#include <gtest/gtest.h>

namespace buoy::aws {
namespace {

IniFile parsed(std::string_view text) {
  auto file = parseIni(text, "config");
  EXPECT_TRUE(file) << file.error().message;
  return file.value_or(IniFile{});
}

std::string valueIn(const IniFile& file, const std::string& section, const std::string& name) {
  const auto at = file.sections.find(section);
  if (at == file.sections.end()) return "(no section)";
  const auto value = at->second.values.find(name);
  return value == at->second.values.end() ? "(no value)" : value->second.text;
}

std::string errorOf(std::string_view text) {
  const auto file = parseIni(text, "config");
  if (file) return "(no error)";
  EXPECT_EQ(file.error().code, ErrorCode::invalid_argument);
  return file.error().message;
}

TEST(IniFile, ReadsNamesAndValues) {
  const IniFile file = parsed("[default]\nRegion = eu-west-1\nkey:a=b\nother =c:d ; no comment\nnone=\n");
  EXPECT_EQ(valueIn(file, "default", "region"), "eu-west-1");
  EXPECT_EQ(valueIn(file, "default", "key"), "a=b");
  EXPECT_EQ(valueIn(file, "default", "other"), "c:d ; no comment");
  EXPECT_EQ(valueIn(file, "default", "none"), "");
}

TEST(IniFile, SkipsCommentsAndByteOrderMarkAndTakesEveryKindOfLineEnd) {
  const IniFile file =
      parsed("\xef\xbb\xbf# one\r\n[a]\r\n ; two\r\nk = 1\r# three\rl = 2\n\n[b] ignored\nm = 3");
  EXPECT_EQ(valueIn(file, "a", "k"), "1");
  EXPECT_EQ(valueIn(file, "a", "l"), "2");
  EXPECT_EQ(valueIn(file, "b", "m"), "3");
  EXPECT_EQ(file.order, (std::vector<std::string>{"a", "b"}));
}

TEST(IniFile, NestsTheIndentedLinesBelowAnEmptyValue) {
  const IniFile file =
      parsed("[a]\ns3 =\n  addressing_style=path\n# between\n\n  Other = a = b\nregion = x\n");
  const auto& nested = file.sections.at("a").values.at("s3").nested;
  EXPECT_EQ(nested, (std::map<std::string, std::string>{{"addressing_style", "path"}, {"Other", "a = b"}}));
  EXPECT_EQ(valueIn(file, "a", "region"), "x");
}

TEST(IniFile, JoinsContinuedLines) {
  const IniFile file = parsed("[a]\nk = one\n   two\n\n   [three]\nl = 4\n");
  EXPECT_EQ(valueIn(file, "a", "k"), "one\ntwo\n\n[three]");
  EXPECT_EQ(valueIn(file, "a", "l"), "4");
}

TEST(IniFile, LetsEverySectionHaveTheDefaults) {
  const IniFile file = parsed("[a]\nk = own\n[DEFAULT]\nk = shared\nl = shared\n[b]\n");
  EXPECT_EQ(valueIn(file, "a", "k"), "own");
  EXPECT_EQ(valueIn(file, "a", "l"), "shared");
  EXPECT_EQ(valueIn(file, "b", "k"), "shared");
  EXPECT_FALSE(file.sections.contains("DEFAULT"));
}

TEST(IniFile, NamesTheLineThatIsWrong) {
  EXPECT_EQ(errorOf("k = v\n"), "config:1: there is no [section] before this line");
  EXPECT_EQ(errorOf("[a]\n\nwords\n"), "config:3: expected 'name = value' or '[section]'");
  EXPECT_EQ(errorOf("[a]\n= v\n"), "config:2: there is no name before the '='");
  EXPECT_EQ(errorOf("[a]\n[b]\n[a]\n"),
            "config:3: the section [a] is there twice (first in line 1); join the two");
  EXPECT_EQ(errorOf("[a]\nk=1\nK=2\n"),
            "config:3: this name is in its section already, in line 2; remove one of the two");
  EXPECT_EQ(errorOf("[a]\ns3 =\n  word\n"), "config:2: an indented line below this one is no 'name = value'");
  EXPECT_EQ(errorOf("[a]\nk = \xff\n"), "config is not UTF-8 text");
}

TEST(IniFile, ShowsNoValueInItsErrors) {
  for (const char* text :
       {"[a]\naws_secret_access_key hunter2\n", "hunter2 = hunter2\n", "[a]\nk = hunter2\nk = hunter2\n",
        "[a]\ns3 =\n  hunter2\n", "[a]\nhunter2 = 1\nhunter2 = 2\n"}) {
    EXPECT_EQ(errorOf(text).find("hunter2"), std::string::npos) << errorOf(text);
  }
}

TEST(SplitWords, SplitsAsAShellDoes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(*splitWords("  a  'b c' \"d \\\" \\e\" f\\ g \"\" h'i'j "),
            (Words{"a", "b c", "d \" \\e", "f g", "", "hij"}));
  EXPECT_EQ(*splitWords(""), Words{});
  EXPECT_FALSE(splitWords("a 'b"));
  EXPECT_FALSE(splitWords("a \"b"));
  EXPECT_FALSE(splitWords("a \\"));
}

}  // namespace
}  // namespace buoy::aws
