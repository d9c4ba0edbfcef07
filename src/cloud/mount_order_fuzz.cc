#include <cstdint>
#include <string_view>

#include "cloud/storage.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  const auto order = cloud::parseMountOrder(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!order) {
    BUOY_CHECK(order.error().code == ErrorCode::invalid_argument);
    return 0;
  }
  for (const cloud::Mount& mount : order->mounts)
    BUOY_CHECK(mount.path.starts_with('/') && mount.path != "/");
  const auto again = cloud::parseMountOrder(cloud::toJson(*order));
  BUOY_CHECK(again && again->mounts.size() == order->mounts.size() && again->epoch == order->epoch);
  return 0;
}
