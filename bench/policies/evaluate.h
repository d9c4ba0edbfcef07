#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "schedule/spot/planner.h"
#include "sim/window.h"

namespace buoy::bench {

// Windows of one place or of several, and what the policies may have learned from before.
struct Series {
  std::vector<const sim::Trace*> places;
  std::shared_ptr<schedule::spot::Planner> planner;
  std::size_t from = 0, until = 0;  // ticks: every window lies within
  std::size_t every = 300;          // ticks from start to start
};
// Sums over windows.
struct Score {
  double optimum = 0, spot_first = 0, uniform = 0, buoy = 0;  // USD
  int windows = 0, missed = 0;
  void add(const Score& other);
};

// `window` without its start. Windows that do not fit are left out. On all cores.
Score evaluate(const sim::Window& window, std::span<const Series> series);

}  // namespace buoy::bench
