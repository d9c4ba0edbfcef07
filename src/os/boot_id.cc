#include "os/boot_id.h"

#include "base/strings.h"
#include "os/files.h"

namespace buoy::os {

std::string bootId() {
  const auto content = readFile("/proc/sys/kernel/random/boot_id", 256);
  return content ? std::string(trim(*content)) : "unknown";
}

bool isBootId(std::string_view text) {
  constexpr std::string_view kShape = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
  if (text.size() != kShape.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (kShape[i] == '-' ? text[i] != '-' : !hex) return false;
  }
  return true;
}

}  // namespace buoy::os
