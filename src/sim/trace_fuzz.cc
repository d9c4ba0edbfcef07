#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/trace.h"

// What is accepted keeps its promises.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  const auto trace = sim::parseTrace({reinterpret_cast<const char*>(data), size});
  if (!trace) {
    BUOY_CHECK(trace.error().code == ErrorCode::invalid_argument && !trace.error().message.empty());
    return 0;
  }
  BUOY_CHECK(trace->gap >= std::chrono::milliseconds{1} && !trace->available.empty());
  BUOY_CHECK(trace->prices.empty() || trace->prices.size() == trace->available.size());
  for (const std::int32_t count : trace->available) BUOY_CHECK(count >= 0);
  for (const PricePerHour price : trace->prices) BUOY_CHECK(price.nano_usd >= 0);
  BUOY_CHECK(!trace->up(trace->available.size()));
  return 0;
}
