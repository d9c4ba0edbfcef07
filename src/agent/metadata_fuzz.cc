#include <cstdint>
#include <string_view>

#include "agent/boot.h"
#include "agent/ec2_notice.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto config = agent::parseBootConfig(text)) {
    BUOY_CHECK(!config->store.empty() && !config->cluster.empty());
  } else {
    BUOY_CHECK(config.error().code == ErrorCode::invalid_argument);
  }
  if (const auto deadline = agent::parseInstanceAction(text); !deadline)
    BUOY_CHECK(deadline.error().code == ErrorCode::invalid_argument);
  return 0;
}
