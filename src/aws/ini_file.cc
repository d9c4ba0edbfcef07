#include "aws/ini_file.h"

#include <utility>

#include "base/strings.h"

namespace buoy::aws {
namespace {

constexpr std::string_view kSpaces = " \t\v\f\r\n";
// Its values are the defaults of every other section.
constexpr std::string_view kDefaultsSection = "DEFAULT";

std::string_view strip(std::string_view text) {
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// Takes the first line off; "\n", "\r\n" and "\r" end one.
std::string_view takeLine(std::string_view& text) {
  const auto end = text.find_first_of("\r\n");
  const std::string_view line = text.substr(0, end);
  if (end == std::string_view::npos) {
    text = {};
  } else {
    text.remove_prefix(text.substr(end, 2) == "\r\n" ? end + 2 : end + 1);
  }
  return line;
}

class Parser {
 public:
  explicit Parser(const std::string& path) : path_(path) {}

  Result<IniFile> parse(std::string_view text) {
    if (!isValidUtf8(text)) return fail(ErrorCode::invalid_argument, path_ + " is not UTF-8 text");
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    while (!text.empty()) {
      ++line_;
      BUOY_TRY_VOID(takeIn(takeLine(text)));
    }
    BUOY_TRY_VOID(finishValue());
    applyDefaults();
    return std::move(file_);
  }

 private:
  tl::unexpected<Error> wrong(int line, std::string_view what) const {
    return fail(ErrorCode::invalid_argument, strCat({path_, ":", std::to_string(line), ": ", what}));
  }

  Status takeIn(std::string_view line) {
    const std::string_view content = strip(line);
    if (content.starts_with('#') || content.starts_with(';')) return {};
    if (content.empty()) {
      if (value_ != nullptr) value_->text += '\n';
      return {};
    }
    const std::size_t indent = line.find_first_not_of(kSpaces);
    if (value_ != nullptr && indent > indent_) {
      value_->text += '\n';
      value_->text += content;
      return {};
    }
    indent_ = indent;
    BUOY_TRY_VOID(finishValue());
    // Up to the last bracket; what follows it is ignored.
    const auto close = content.rfind(']');
    if (content.starts_with('[') && close != std::string_view::npos && close > 1) {
      return beginSection(std::string(content.substr(1, close - 1)));
    }
    return beginValue(content);
  }

  Status beginSection(std::string name) {
    const bool is_defaults = name == kDefaultsSection;
    const auto [at, is_new] = file_.sections.try_emplace(name);
    if (!is_new && !is_defaults) {
      return wrong(line_, strCat({"the section [", name, "] is there twice (first in line ",
                                  std::to_string(at->second.line), "); join the two"}));
    }
    if (is_new) {
      at->second.line = line_;
      if (!is_defaults) file_.order.push_back(std::move(name));
    }
    section_ = &at->second;
    return {};
  }

  Status beginValue(std::string_view content) {
    const auto delimiter = content.find_first_of("=:");
    if (section_ == nullptr) return wrong(line_, "there is no [section] before this line");
    if (delimiter == std::string_view::npos) return wrong(line_, "expected 'name = value' or '[section]'");
    const std::string name = lowerCase(strip(content.substr(0, delimiter)));
    if (name.empty()) return wrong(line_, "there is no name before the '='");
    const auto [at, is_new] = section_->values.try_emplace(name);
    if (!is_new) {
      return wrong(line_, strCat({"this name is in its section already, in line ",
                                  std::to_string(at->second.line), "; remove one of the two"}));
    }
    value_ = &at->second;
    value_->line = line_;
    value_->text = strip(content.substr(delimiter + 1));
    return {};
  }

  // The value's lines are all there: an empty first one and more below it are names and values of their own.
  Status finishValue() {
    if (value_ == nullptr) return {};
    IniValue& value = *std::exchange(value_, nullptr);
    while (value.text.ends_with('\n')) value.text.pop_back();
    if (!value.text.starts_with('\n')) return {};
    std::string_view rest = value.text;
    std::map<std::string, std::string> nested;
    while (!rest.empty()) {
      const std::string_view line = strip(takeLine(rest));
      if (line.empty()) continue;
      const auto equals = line.find('=');
      if (equals == std::string_view::npos) {
        return wrong(value.line, "an indented line below this one is no 'name = value'");
      }
      nested[std::string(strip(line.substr(0, equals)))] = strip(line.substr(equals + 1));
    }
    value.nested = std::move(nested);
    value.text.clear();
    return {};
  }

  void applyDefaults() {
    const auto found = file_.sections.find(std::string(kDefaultsSection));
    if (found == file_.sections.end()) return;
    const IniSection shared = std::move(found->second);
    file_.sections.erase(found);
    for (auto& [name, section] : file_.sections) {
      for (const auto& [key, value] : shared.values) section.values.try_emplace(key, value);
    }
  }

  const std::string& path_;
  IniFile file_;
  IniSection* section_ = nullptr;
  IniValue* value_ = nullptr;  // the one that indented lines continue
  std::size_t indent_ = 0;
  int line_ = 0;
};

}  // namespace

Result<IniFile> parseIni(std::string_view text, const std::string& path) {
  return Parser(path).parse(text);
}

std::optional<std::vector<std::string>> splitWords(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;  // a word, which may be empty: ''
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool escapable =
        quote == 0 || (quote == '"' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\'));
    if (quote == 0 && kSpaces.find(c) != std::string_view::npos) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '\\' && quote != '\'' && escapable) {
      if (++i == text.size()) return std::nullopt;
      words.back() += text[i];
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else {
      words.back() += c;
    }
  }
  if (quote != 0) return std::nullopt;
  return words;
}

}  // namespace buoy::aws
