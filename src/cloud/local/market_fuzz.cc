#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cloud/local/market.h"

// A pool's configuration, and a recorded market played a little.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  using namespace buoy::cloud::local;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto market = parseMarket(text)) {
    for (std::uint64_t k = 0; k < 4; ++k) {
      const auto appointment = appointmentFor(*market, k, MachineId{k + 1});
      BUOY_CHECK(!appointment || appointment->after >= Duration{});
    }
  }
  auto trace = sim::parseTrace(text);
  if (!trace) return 0;
  const TraceMarket played(std::make_shared<const sim::Trace>(std::move(*trace)), 60, Time{});
  Time now = Time{} + std::chrono::hours{1};
  for (int i = 0; i < 4; ++i) {
    (void)played.priceAt(now);
    const std::int32_t available = played.availableAt(now);
    const auto loss = played.lossOf(available, now);
    BUOY_CHECK(!loss || (*loss > now && played.availableAt(*loss) < available));
    const auto change = played.nextPriceChange(now);
    BUOY_CHECK(!change || *change > now);
    now = loss.value_or(now + std::chrono::hours{1});
  }
  return 0;
}
