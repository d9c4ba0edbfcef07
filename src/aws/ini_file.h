#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The format of ~/.aws/config and ~/.aws/credentials, as botocore reads it (Python's configparser, and one
// level of nesting). Pure; any thread. Values may be secrets: errors
// show none of them.
namespace buoy::aws {

struct IniValue {
  std::string text;                           // the lines of a value joined by '\n'
  std::map<std::string, std::string> nested;  // "s3 =" and the indented lines below it; `text` is empty then
  int line = 0;
};
struct IniSection {
  int line = 0;
  std::map<std::string, IniValue> values;  // names in lower case (nested ones as they are)
};
struct IniFile {
  std::map<std::string, IniSection> sections;
  std::vector<std::string> order;  // names of the sections as they come
};

// `path` is for messages. invalid_argument with path and line, as botocore refuses: a line that is no "name =
// value", one before the first section, a section or a name twice, not UTF-8.
Result<IniFile> parseIni(std::string_view text, const std::string& path);

// A command line into words as a shell does, without expanding anything; nullopt if a quote is not closed.
std::optional<std::vector<std::string>> splitWords(std::string_view text);

}  // namespace buoy::aws
