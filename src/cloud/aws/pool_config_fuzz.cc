#include "cloud/aws/pool_config.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  using namespace buoy::cloud::aws;
  const auto config = parsePoolConfig(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config) {
    BUOY_CHECK(config.error().code == ErrorCode::invalid_argument);
    return 0;
  }
  BUOY_CHECK(checkPoolConfig(*config).empty());
  const auto again = parsePoolConfig(toJson(*config));
  BUOY_CHECK(again && again->region == config->region && again->zones == config->zones);
  return 0;
}
