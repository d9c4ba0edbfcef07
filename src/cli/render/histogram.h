#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cli/render/look.h"

namespace buoy::cli {

// The same stretch of numbers for several histograms.
struct Bins {
  double low = 0, high = 0;
  std::size_t count = 1;

  // Values below and above count for the first and the last.
  std::size_t at(double value) const;
  std::vector<std::size_t> counts(std::span<const double> values) const;
};

// One line, a column a bin, the highest for the fullest: "▁▅█▂ ▁" (".:-=+*#@" without Unicode). A bin that
// holds anything is drawn.
std::string renderHistogram(const Look& look, const Bins& bins, std::span<const double> values);

}  // namespace buoy::cli
