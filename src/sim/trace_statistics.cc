#include "sim/trace_statistics.h"

#include <algorithm>
#include <array>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array<Duration, 8> kAges{0min, 12min, 30min, 1h, 2h, 4h, 8h, 16h};

struct Mean {
  Duration total{};
  std::int64_t count = 0;
  Duration value() const { return count > 0 ? total / count : Duration{}; }
};

// A whole up-time, or one that still lasted at the end of the trace.
void addAges(TraceStatistics& statistics, Duration length, bool ended) {
  for (std::size_t i = 0; i < kAges.size() && kAges[i] < length; ++i) {
    const Duration until = i + 1 < kAges.size() ? std::min(length, kAges[i + 1]) : length;
    statistics.by_age[i].hours += std::chrono::duration<double, std::ratio<3600>>(until - kAges[i]).count();
    if (ended && until == length) ++statistics.by_age[i].reclaims;
  }
}

void addPrices(TraceStatistics& statistics, const Trace& trace) {
  if (trace.prices.empty()) return;
  const auto [least, most] = std::minmax_element(trace.prices.begin(), trace.prices.end());
  statistics.least = *least;
  statistics.most = *most;
  double sum = 0;
  for (const PricePerHour price : trace.prices) sum += static_cast<double>(price.nano_usd);
  statistics.mean.nano_usd = static_cast<std::int64_t>(sum / static_cast<double>(trace.prices.size()));
}

}  // namespace

TraceStatistics statisticsOf(const Trace& trace, std::int32_t machines) {
  TraceStatistics statistics;
  for (const Duration from : kAges) statistics.by_age.push_back({.from = from});
  addPrices(statistics, trace);
  Mean up_times, down_times;
  std::size_t up_ticks = 0, began = 0;
  const std::size_t length = trace.available.size();
  for (std::size_t tick = 1; tick <= length; ++tick) {
    const bool up = trace.up(began, machines);
    const bool last = tick == length;
    if (!last && trace.up(tick, machines) == up) continue;
    const Duration lasted = trace.gap * static_cast<std::int64_t>(tick - began);
    if (up) {
      up_ticks += tick - began;
      if (!last) ++statistics.reclaims;
      if (began > 0) addAges(statistics, lasted, !last);
    }
    if (began > 0 && !last) {
      Mean& mean = up ? up_times : down_times;
      mean.total += lasted;
      ++mean.count;
    }
    began = tick;
  }
  statistics.up_share = static_cast<double>(up_ticks) / static_cast<double>(length);
  statistics.mean_up = up_times.value();
  statistics.mean_down = down_times.value();
  return statistics;
}

}  // namespace buoy::sim
