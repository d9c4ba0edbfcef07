#pragma once

#include <span>
#include <vector>

#include "sim/window.h"

namespace buoy::sim {

// The ticks from which `window` fits into the traces, `count` of them spread evenly and each moved by chance
// within its share; all of them where there are no more. In order; empty: it fits nowhere.
std::vector<std::size_t> startTicks(const Window& window, std::span<const Trace* const> traces,
                                    std::size_t count, std::uint64_t seed);

// Numbers by rank.
class Distribution {
 public:
  explicit Distribution(std::vector<double> values);  // at least one
  double least() const { return values_.front(); }
  double most() const { return values_.back(); }
  double mean() const { return mean_; }
  // The least value that at least this part of all is not above: 0.5 for the median.
  double quantile(double part) const;
  std::span<const double> values() const { return values_; }  // ascending

 private:
  std::vector<double> values_;
  double mean_ = 0;
};

// What a policy came to, over many starts of the same job.
struct Outlook {
  explicit Outlook(std::span<const WindowResult> runs);  // at least one
  Distribution cost;                                     // USD
  Distribution finish;                                   // hours
  double met = 0;                                        // share of runs that met the deadline
  double launches = 0, reclaims = 0;                     // mean of a run
  double redone = 0;                                     // hours, mean of a run
};

// `window` with a changeover so near to a multiple of the ticks' parts that optimalCost() takes little time:
// never longer, so that its optimum is not above the window's own.
Window simplified(const Window& window, Duration gap);

}  // namespace buoy::sim
