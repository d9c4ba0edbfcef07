#include <cstddef>
#include <cstdint>
#include <string_view>

#include "container/build_context.h"

// The first line is a path, the rest a .dockerignore.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = text.find('\n');
  if (end == std::string_view::npos || size > 2000) return 0;
  (void)buoy::container::IgnoreRules::parse(text.substr(end + 1)).ignores(text.substr(0, end));
  return 0;
}
