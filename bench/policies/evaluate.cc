#include "evaluate.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "schedule/spot/policies.h"
#include "sim/optimum.h"

namespace buoy::bench {
namespace {

struct Task {
  const Series* series;
  std::size_t start;
};

Score scoreOf(sim::Window window, const Task& task) {
  window.start_tick = task.start;
  const auto& places = task.series->places;
  Score score{.windows = 1};
  const auto cost = [&](std::string_view name) {
    const auto policy = schedule::spot::makePolicy(name, task.series->planner);
    const sim::WindowResult result = sim::replay(window, places, **policy);
    if (result.missed) ++score.missed;
    return static_cast<double>(result.cost.nano_usd) / 1e9;
  };
  score.spot_first = cost("spot-first");
  score.uniform = cost("uniform-progress");
  score.buoy = cost("buoy");
  const auto optimum = sim::optimalCost(window, places);
  BUOY_CHECK(optimum.has_value());
  score.optimum = static_cast<double>(optimum->nano_usd) / 1e9;
  return score;
}

}  // namespace

void Score::add(const Score& other) {
  optimum += other.optimum;
  spot_first += other.spot_first;
  uniform += other.uniform;
  buoy += other.buoy;
  windows += other.windows;
  missed += other.missed;
}

Score evaluate(const sim::Window& window, std::span<const Series> series) {
  std::vector<Task> tasks;
  for (const Series& each : series) {
    const Duration gap = each.places.front()->gap;
    const auto ticks = static_cast<std::size_t>((window.deadline + gap - Duration{1}) / gap);
    for (std::size_t start = each.from; start + ticks <= each.until; start += each.every)
      tasks.push_back({&each, start});
  }
  Score total;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < tasks.size(); i = next++) {
      const Score score = scoreOf(window, tasks[i]);
      const std::lock_guard lock(mutex);
      total.add(score);
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) others.emplace_back(work);
    work();
  }
  return total;
}

}  // namespace buoy::bench
