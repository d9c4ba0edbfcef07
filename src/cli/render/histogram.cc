#include "cli/render/histogram.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace buoy::cli {

std::size_t Bins::at(double value) const {
  const double share = high > low ? (value - low) / (high - low) : 0;
  const double bin = std::clamp(share, 0.0, 1.0) * static_cast<double>(count);
  return std::min(static_cast<std::size_t>(bin), count - 1);
}

std::vector<std::size_t> Bins::counts(std::span<const double> values) const {
  std::vector<std::size_t> counts(count);
  for (const double value : values) ++counts[at(value)];
  return counts;
}

std::string renderHistogram(const Look& look, const Bins& bins, std::span<const double> values) {
  static constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<std::string_view, 8> kSigns{".", ":", "-", "=", "+", "*", "#", "@"};
  const auto counts = bins.counts(values);
  const std::size_t most = std::max<std::size_t>(*std::max_element(counts.begin(), counts.end()), 1);
  std::string text;
  for (const std::size_t count : counts) {
    if (count == 0) {
      text += ' ';
    } else {
      text += (look.unicode ? kBlocks : kSigns)[(count * 8 + most - 1) / most - 1];
    }
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace buoy::cli
