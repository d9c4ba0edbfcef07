#include "cli/quoting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <memory>

namespace buoy::cli {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> texts(const std::vector<ShellWord>& words) {
  std::vector<std::string> result;
  for (const ShellWord& word : words) result.push_back(word.text);
  return result;
}

// What a real shell makes of the text: its words, one a line of hexadecimal.
std::vector<std::string> readByShell(const std::string& text) {
  const std::string command =
      "for word in " + text + "; do printf '%s' \"$word\" | od -An -v -tx1 | tr -d ' \\n'; echo; done";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string output;
  for (int c; pipe && (c = std::fgetc(pipe.get())) != EOF;) output += static_cast<char>(c);
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i < output.size();) {
    if (output[i] == '\n') {
      words.push_back(std::move(word));
      word.clear();
      ++i;
    } else {
      word += static_cast<char>(std::stoi(output.substr(i, 2), nullptr, 16));
      i += 2;
    }
  }
  return words;
}

TEST(Quoting, LeavesPlainWordsAlone) {
  EXPECT_EQ(shellQuote("train.py"), "train.py");
  EXPECT_EQ(shellQuote("--lr=0.1"), "--lr=0.1");
  EXPECT_EQ(shellQuote(""), "''");
  EXPECT_EQ(shellQuote("it's"), "'it'\\''s'");
  EXPECT_EQ(shellQuote("$HOME"), "'$HOME'");
}

TEST(Quoting, FirstWordIsNeverGrammar) {
  const std::vector<std::string> assignment{"A=b c", "x"}, keyword{"if", "if"};
  EXPECT_EQ(shellCommand(assignment), "'A=b c' x");
  EXPECT_EQ(shellCommand(keyword), "'if' if");
}

TEST(Quoting, FirstCommandStopsWhereTheShellDoes) {
  EXPECT_THAT(texts(firstCommand("python3 train.py --x 'a b' && echo done")),
              ElementsAre("python3", "train.py", "--x", "a b"));
  EXPECT_THAT(texts(firstCommand("A=1 B='2 3' ./run.sh > log")), ElementsAre("./run.sh"));
  EXPECT_THAT(texts(firstCommand("# first\n\npython3 train.py\necho")), ElementsAre("python3", "train.py"));
  EXPECT_THAT(texts(firstCommand("echo a\\ b \"c d\"|cat")), ElementsAre("echo", "a b", "c d"));
  EXPECT_THAT(texts(firstCommand("'a=' 'B'=c D=e")), ElementsAre("a=", "B=c", "D=e"));
  EXPECT_THAT(firstCommand(""), ::testing::IsEmpty());
}

TEST(Quoting, ExpansionsAreNotGuessed) {
  const auto words = firstCommand("${PYTHON:-python3 -x} -u \"$1\" a*b $(date +%s) plain");
  ASSERT_EQ(words.size(), 6u);
  EXPECT_TRUE(words[0].dynamic);
  EXPECT_FALSE(words[1].dynamic);
  EXPECT_TRUE(words[2].dynamic && words[3].dynamic && words[4].dynamic);
  EXPECT_EQ(words[5].text, "plain");
}

TEST(Quoting, NeverReadsPastTheEnd) {
  for (const char* text : {"'", "\"", "\\", "$", "${", "$(", "`", "a\\", "\"\\"})
    EXPECT_LE(firstCommand(text).size(), 1u) << text;
}

RC_GTEST_PROP(QuotingProperty, WordsComeBackWhole, (const std::vector<std::string>& given)) {
  std::vector<std::string> words;
  for (std::string word : given) {
    word.erase(std::remove(word.begin(), word.end(), '\0'), word.end());
    words.push_back(std::move(word));
  }
  RC_PRE(!words.empty());
  const auto read = firstCommand(shellCommand(words));
  RC_ASSERT(texts(read) == words);
  for (const ShellWord& word : read) RC_ASSERT(!word.dynamic);
}

// One shell for many words: starting one for each would take most of the test's time.
TEST(Quoting, ARealShellReadsTheSame) {
  std::vector<std::string> words{"",  " ",    "'",  "\"",  "\\", "$x", "`x`",   "*",   "~",   "!",
                                 "#", "a\nb", "\t", "ü€😀", "--", "-n", "{a,b}", "[x]", "a=b", "\x01\x7f"};
  for (int c = 1; c < 256; ++c) words.push_back(std::string("x") + static_cast<char>(c) + "'");
  std::string text;
  for (const std::string& word : words) text += shellQuote(word) + " ";
  EXPECT_EQ(readByShell(text), words);
}

}  // namespace
}  // namespace buoy::cli
