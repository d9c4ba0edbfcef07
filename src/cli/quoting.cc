#include "cli/quoting.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/shell.h"

namespace buoy::cli {
namespace {

bool isPlain(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_-./=:,+@%").find(c) != std::string_view::npos;
}

// At the front of a command the shell would take these as its own grammar unless they are quoted.
bool isReserved(std::string_view word) {
  static constexpr std::array<std::string_view, 14> kReserved{"if",    "then", "else", "elif",    "fi",
                                                              "do",    "done", "case", "esac",    "while",
                                                              "until", "for",  "in",   "function"};
  return std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end();
}

// "NAME" of "NAME=value".
bool isVariable(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; });
}

class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  std::vector<ShellWord> read() {
    while (at_ < text_.size() && one()) {
    }
    push();
    return std::move(words_);
  }

 private:
  // Takes one character or quoted piece; false at the end of the command.
  bool one() {
    const char c = text_[at_++];
    switch (c) {
      case ' ':
      case '\t':
        push();
        return true;
      case '\n':
        push();
        return words_.empty();  // a blank line before the command
      case ';':
      case '&':
      case '|':
      case '<':
      case '>':
      case '(':
      case ')':
        return false;
      case '#':
        if (in_word_) break;
        at_ = std::min(text_.find('\n', at_), text_.size());
        return true;
      case '\\':
        name_quoted_ = true;
        if (at_ < text_.size() && text_[at_] != '\n') add(text_[at_]);
        ++at_;
        return true;
      case '\'':
        single();
        return true;
      case '"':
        doubled();
        return true;
      case '$':
      case '`':
        dynamic(c);
        return true;
      case '*':
      case '?':
      case '[':
      case '~':
      case '{':
        word_.dynamic = true;
        break;
      default:
        break;
    }
    add(c);
    return true;
  }

  void single() {
    in_word_ = name_quoted_ = true;
    while (at_ < text_.size() && text_[at_] != '\'') word_.text += text_[at_++];
    ++at_;
  }

  void doubled() {
    in_word_ = name_quoted_ = true;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size())
        ++at_;
      else if (text_[at_] == '$' || text_[at_] == '`')
        word_.dynamic = true;
      word_.text += text_[at_++];
    }
    ++at_;
  }

  // ${…}, $(…), `…`: skipped as a whole, so that what is inside does not end the word.
  void dynamic(char opener) {
    in_word_ = name_quoted_ = true;
    word_.dynamic = true;
    if (opener == '`') {
      at_ = std::min(text_.find('`', at_), text_.size()) + 1;
      return;
    }
    if (at_ >= text_.size() || (text_[at_] != '{' && text_[at_] != '(')) return;
    const char open = text_[at_], close = open == '{' ? '}' : ')';
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == open) ++depth;
      if (text_[at_] == close && --depth == 0) break;
    }
    ++at_;
  }

  void add(char c) {
    // A name that is quoted, even in part, is no variable's.
    if (c == '=' && words_.empty() && !name_quoted_ && isVariable(word_.text)) assignment_ = true;
    in_word_ = true;
    word_.text += c;
  }
  void push() {
    if (in_word_ && !assignment_) words_.push_back(std::move(word_));
    word_ = {};
    in_word_ = name_quoted_ = assignment_ = false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<ShellWord> words_;
  ShellWord word_;
  bool in_word_ = false;
  bool name_quoted_ = false;  // a piece of the word is quoted or expanded
  bool assignment_ = false;
};

}  // namespace

std::string shellQuote(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), isPlain) ? std::string(word)
                                                                         : quotedForShell(word);
}

std::string shellCommand(std::span<const std::string> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += ' ';
    const bool special = i == 0 && (words[i].find('=') != std::string::npos || isReserved(words[i]));
    text += special ? quotedForShell(words[i]) : shellQuote(words[i]);
  }
  return text;
}

std::vector<ShellWord> firstCommand(std::string_view text) {
  return Words(text).read();
}

}  // namespace buoy::cli
