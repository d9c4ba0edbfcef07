#include "cli/render/progress.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/strings.h"

namespace buoy::cli {

std::string fullPart(const Look& look, double share, int width) {
  static constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double clamped = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0;
  if (!look.unicode) return repeat("#", static_cast<int>(std::lround(clamped * width)));
  const int eighths = static_cast<int>(std::lround(clamped * width * 8));
  return repeat("█", eighths / 8).append(kEighths[static_cast<std::size_t>(eighths % 8)]);
}

std::string bar(const Look& look, double share, int width) {
  const std::string full = fullPart(look, share, width);
  return full + paint(look, Color::dim, repeat(look.unicode ? "░" : "-", width - displayWidth(full)));
}

std::string progressLine(const Look& look, std::string_view what, std::uint64_t done, std::uint64_t total) {
  const double share = total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
  const std::string percent = std::to_string(static_cast<int>(std::floor(share * 100))) + "%";
  const std::string sizes = formatByteCount(ByteCount{done}) + " of " + formatByteCount(ByteCount{total});
  const int room = (look.width > 0 ? look.width : 80) - displayWidth(what) - displayWidth(sizes) - 12;
  return strCat({what, "  ", bar(look, share, std::clamp(room, 4, 30)), "  ", pad(percent, 4, Align::right),
                 "  ", sizes});
}

std::string sparkline(const Look& look, std::span<const double> values, int width) {
  static constexpr std::array<std::string_view, 8> kLevels{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (!look.unicode || width <= 0) return {};
  std::vector<double> finite;
  for (const double value : values) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  if (finite.empty()) return {};
  const auto [low, high] = std::minmax_element(finite.begin(), finite.end());
  const double bottom = *low, range = *high - *low;
  const std::size_t columns = std::min(finite.size(), static_cast<std::size_t>(width));
  std::string text;
  for (std::size_t c = 0; c < columns; ++c) {
    // The mean of the values that fall into this column.
    const std::size_t begin = c * finite.size() / columns, end = (c + 1) * finite.size() / columns;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += finite[i] - bottom;
    const double mean = sum / static_cast<double>(end - begin);
    const double level = range > 0 ? mean / range * 7 : 0;
    text += kLevels[static_cast<std::size_t>(std::clamp(std::lround(level), 0L, 7L))];
  }
  return text;
}

}  // namespace buoy::cli
