#include <cstdint>
#include <string_view>

#include "api/config.h"
#include "base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = parseServerConfig(text, "/etc/buoy/config.yaml");
  if (!config) {
    BUOY_CHECK(!config.error().empty());
    return 0;
  }
  for (const buoy::engine::Pool& pool : config->pools) {
    const auto again = parsePoolJson(toJson(pool));
    BUOY_CHECK(again && toJson(*again) == toJson(pool));
    if (pool.provider == "local") BUOY_CHECK(parseLocalMarket(pool.provider_config).has_value());
  }
  for (const buoy::engine::Queue& queue : config->queues) {
    const auto again = parseQueueJson(toJson(queue));
    BUOY_CHECK(again && toJson(*again) == toJson(queue));
  }
  return 0;
}
