#include "cli/render/size.h"

#include "base/strings.h"
#include "cli/context.h"

namespace buoy::cli {

std::string sizeText(const engine::Resources& resources) {
  const std::int32_t milli = resources.milli_cpus;
  std::string text = (milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m") +
                     (milli == 1000 ? " cpu" : " cpus");
  if (resources.gpus > 0) text += ", " + counted(static_cast<std::uint64_t>(resources.gpus), "gpu");
  if (resources.memory.value > 0) text += ", " + formatByteCount(resources.memory);
  return text;
}

}  // namespace buoy::cli
