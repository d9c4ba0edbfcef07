#include <cstdint>
#include <string_view>

#include "aws/ini_file.h"
#include "base/strings.h"

namespace {

using namespace buoy;
using namespace buoy::aws;

// A file that says the same in the plainest way.
std::string plain(const IniFile& file) {
  std::string text;
  for (const auto& [name, section] : file.sections) {
    text += strCat({"[", name, "]\n"});
    for (const auto& [key, value] : section.values) {
      text += strCat({key, " ="});
      std::string_view separator = " ";
      for (const std::string_view line : split(value.text, '\n')) {
        text += strCat({separator, line, "\n"});
        separator = "  ";
      }
      for (const auto& [inner, inner_value] : value.nested)
        text += strCat({"  ", inner, "=", inner_value, "\n"});
    }
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto words = splitWords(text)) {
    for (const std::string& word : *words) BUOY_CHECK(word.size() <= size);
  }
  const auto file = parseIni(text, "config");
  if (!file) {
    BUOY_CHECK(file.error().code == ErrorCode::invalid_argument &&
               file.error().message.starts_with("config"));
    return 0;
  }
  BUOY_CHECK(file->order.size() == file->sections.size());
  const auto again = parseIni(plain(*file), "config");
  BUOY_CHECK(again && plain(*again) == plain(*file));
  return 0;
}
