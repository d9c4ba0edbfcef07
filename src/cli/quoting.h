#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

// Between words and shell text. Pure.
namespace buoy::cli {

// One word as /bin/sh reads it back, whatever is in it (except NUL, which no word has); plain where that is
// safe.
std::string shellQuote(std::string_view word);
// "python3 train.py --name 'a b'".
std::string shellCommand(std::span<const std::string> words);

// A word of a shell command, read without running anything.
struct ShellWord {
  std::string text;      // without quotes; meaningless when `dynamic`
  bool dynamic = false;  // holds an expansion ($x, `x`, *, ~): only a shell can tell what it is
};
// The words of the first simple command of a shell text (up to ;, &, |, a newline, a redirection or a
// parenthesis), without leading variable assignments. Comments are left out.
std::vector<ShellWord> firstCommand(std::string_view text);

}  // namespace buoy::cli
