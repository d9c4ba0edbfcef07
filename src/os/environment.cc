#include "os/environment.h"

#include <unistd.h>

#include <string_view>

namespace buoy::os {

std::map<std::string, std::string> processEnvironment() {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string_view::npos)
      values.emplace(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
  }
  return values;
}

}  // namespace buoy::os
