#include "sim/forecast.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/random.h"

namespace buoy::sim {
namespace {

template <class Value>
std::vector<double> each(std::span<const WindowResult> runs, Value value) {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const WindowResult& run : runs) values.push_back(value(run));
  return values;
}

double hours(Duration duration) {
  return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<std::size_t> startTicks(const Window& window, std::span<const Trace* const> traces,
                                    std::size_t count, std::uint64_t seed) {
  std::size_t length = traces.front()->available.size();
  for (const Trace* const trace : traces) length = std::min(length, trace->available.size());
  const Duration gap = traces.front()->gap;
  const auto ticks = static_cast<std::size_t>((window.deadline + gap - Duration{1}) / gap);
  if (ticks > length) return {};
  const std::size_t possible = length - ticks + 1;
  count = std::min(count, possible);
  Random random(seed);
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = i * possible / count, until = (i + 1) * possible / count;
    starts.push_back(from + static_cast<std::size_t>(random.next() % (until - from)));
  }
  return starts;
}

Distribution::Distribution(std::vector<double> values)
    : values_(std::move(values)), mean_(sim::mean(values_)) {
  std::sort(values_.begin(), values_.end());
}

double Distribution::quantile(double part) const {
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values_.size())));
  return values_[std::clamp<std::size_t>(rank, 1, values_.size()) - 1];
}

Outlook::Outlook(std::span<const WindowResult> runs)
    : cost(each(runs, [](const WindowResult& run) { return static_cast<double>(run.cost.nano_usd) / 1e9; })),
      finish(each(runs, [](const WindowResult& run) { return hours(run.finish); })),
      met(mean(each(runs, [](const WindowResult& run) { return run.missed ? 0.0 : 1.0; }))),
      launches(mean(each(runs, [](const WindowResult& run) { return static_cast<double>(run.changes); }))),
      reclaims(
          mean(each(runs, [](const WindowResult& run) { return static_cast<double>(run.preemptions); }))),
      redone(mean(each(runs, [](const WindowResult& run) { return hours(run.redone); }))) {}

Window simplified(const Window& window, Duration gap) {
  constexpr std::int64_t kParts = 16;
  Window simple = window;
  const Duration common{std::gcd(gap.count(), window.changeover.count())};
  if (gap / common <= kParts || gap % kParts != Duration{}) return simple;
  const Duration part = gap / kParts;
  simple.changeover = window.changeover / part * part;
  return simple;
}

}  // namespace buoy::sim
