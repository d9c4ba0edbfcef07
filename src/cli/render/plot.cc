#include "cli/render/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/strings.h"
#include "base/units.h"

namespace buoy::cli {
namespace {

// Dots on a grid that is finer than the characters: two by four a character with braille, one by one without.
class Canvas {
 public:
  Canvas(bool braille, int columns, int rows)
      : across_(braille ? 2 : 1),
        down_(braille ? 4 : 1),
        columns_(columns),
        rows_(rows),
        cells_(static_cast<std::size_t>(columns * rows), 0) {}

  int dotColumns() const { return columns_ * across_; }
  int dotRows() const { return rows_ * down_; }

  void dot(int x, int y) {
    static constexpr std::array<std::array<unsigned, 4>, 2> kBits{
        {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}};
    const auto cell = static_cast<std::size_t>(y / down_ * columns_ + x / across_);
    cells_[cell] |=
        across_ == 1 ? 1u : kBits[static_cast<std::size_t>(x % 2)][static_cast<std::size_t>(y % 4)];
  }

  void line(int x0, int y0, int x1, int y1) {  // Bresenham
    const int dx = std::abs(x1 - x0), dy = -std::abs(y1 - y0);
    const int sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1;
    int error = dx + dy;
    for (;;) {
      dot(x0, y0);
      if (x0 == x1 && y0 == y1) return;
      const int twice = 2 * error;
      if (twice >= dy) {
        error += dy;
        x0 += sx;
      }
      if (twice <= dx) {
        error += dx;
        y0 += sy;
      }
    }
  }

  std::string row(int r) const {
    std::string text;
    for (int c = 0; c < columns_; ++c) {
      const unsigned bits = cells_[static_cast<std::size_t>(r * columns_ + c)];
      if (bits == 0) {
        text += ' ';
      } else if (across_ == 1) {
        text += '*';
      } else {  // U+2800 + bits in UTF-8
        text += '\xE2';
        text += static_cast<char>(0xA0u | (bits >> 6));
        text += static_cast<char>(0x80u | (bits & 0x3Fu));
      }
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
  }

 private:
  int across_, down_, columns_, rows_;
  std::vector<unsigned> cells_;
};

struct Range {
  double low = 0, high = 0;
  // Where `value` lies on `steps` dots, 0 at low.
  int place(double value, int steps) const {
    const double share = high > low ? (value - low) / (high - low) : 0.5;
    return std::clamp(static_cast<int>(std::lround(share * (steps - 1))), 0, steps - 1);
  }
};

// Widened to round numbers, by at most an eighth of its height or so at either end.
Range rounded(const Range& range) {
  const double least = (range.high - range.low) / 8;
  if (!(least > 0) || !std::isfinite(least)) return range;
  const double power = std::pow(10, std::floor(std::log10(least)));
  const double lead = least / power;
  const double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
  const Range wide{std::floor(range.low / step) * step, std::ceil(range.high / step) * step};
  // Not where the steps are below what a double can tell apart, or beyond what it can hold.
  const bool usable =
      std::isfinite(wide.low) && std::isfinite(wide.high) && wide.low <= range.low && wide.high >= range.high;
  return usable ? wide : range;
}

std::string seconds(double value) {
  return formatDuration(Duration{static_cast<std::int64_t>(value * 1e6)});
}

void drawCurve(Canvas& canvas, const std::vector<PlotPoint>& points, const Range& x, const Range& y) {
  const auto column = [&](const PlotPoint& point) { return x.place(point.x, canvas.dotColumns()); };
  const auto row = [&](const PlotPoint& point) {
    return canvas.dotRows() - 1 - y.place(point.y, canvas.dotRows());
  };
  for (std::size_t i = 0; i < points.size(); ++i) {
    const bool joined = i > 0 && points[i - 1].segment == points[i].segment;
    const PlotPoint& from = joined ? points[i - 1] : points[i];
    canvas.line(column(from), row(from), column(points[i]), row(points[i]));
  }
}

// The line under the axis with a mark for each instant, or empty.
std::string markLine(const Look& look, const Plot& plot, const Range& x, int columns) {
  if (plot.marks.empty()) return {};
  const std::string_view sign = look.unicode ? "▲" : "^";
  std::vector<bool> marked(static_cast<std::size_t>(columns), false);
  for (const double mark : plot.marks) {
    if (mark >= x.low && mark <= x.high) marked[static_cast<std::size_t>(x.place(mark, columns))] = true;
  }
  const auto last = std::find(marked.rbegin(), marked.rend(), true);
  if (last == marked.rend()) return {};
  std::string text;
  for (auto it = marked.begin(); it != last.base(); ++it) text += *it ? sign : " ";
  // The name stands behind the last mark, or before the first, or is left out.
  const int room = displayWidth(plot.mark_name) + 1;
  if (displayWidth(text) + room <= columns) return text + " " + plot.mark_name;
  const auto first = std::find(marked.begin(), marked.end(), true) - marked.begin();
  if (first >= room)
    text.replace(static_cast<std::size_t>(first - room), static_cast<std::size_t>(room - 1), plot.mark_name);
  return text;
}

}  // namespace

std::string formatNumber(double value) {
  std::array<char, 32> buffer{};
  const double size = std::fabs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e7);
  std::snprintf(buffer.data(), buffer.size(), plain && size >= 1e4 ? "%.0f" : "%.4g", value);
  return buffer.data();
}

std::string formatPercent(double share) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.0f %%", share * 100);
  return buffer.data();
}

std::string renderPlot(const Look& look, const Plot& plot) {
  std::vector<PlotPoint> points;
  std::copy_if(plot.points.begin(), plot.points.end(), std::back_inserter(points),
               [](const PlotPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); });
  if (points.empty()) return {};
  Range x{points.front().x, points.back().x}, y{points.front().y, points.front().y};
  for (const PlotPoint& point : points) {
    x = {std::min(x.low, point.x), std::max(x.high, point.x)};
    y = {std::min(y.low, point.y), std::max(y.high, point.y)};
  }
  y = rounded(y);
  const bool flat = !(y.high > y.low);  // then the middle says it all
  const double centre = y.low + (y.high - y.low) / 2;
  const std::string middle = formatNumber(centre);
  const std::string top = flat ? "" : formatNumber(y.high), bottom = flat ? "" : formatNumber(y.low);
  const int label = std::max({displayWidth(top), displayWidth(bottom), displayWidth(middle)});
  const int columns = std::clamp((look.width > 0 ? look.width : 80) - label - 5, 10, 72);
  const int rows = std::max(plot.height, 2);

  Canvas canvas(look.unicode, columns, rows);
  drawCurve(canvas, points, x, y);
  const int middle_row = (canvas.dotRows() - 1 - y.place(centre, canvas.dotRows())) * rows / canvas.dotRows();

  const std::string_view side = look.unicode ? "┤" : "|";
  std::string result = strCat({"  ", paint(look, Color::bold, cleaned(plot.title)), "\n"});
  for (int r = 0; r < rows; ++r) {
    const bool in_middle = r == middle_row && (flat || (r > 0 && r < rows - 1));
    const std::string text = in_middle ? middle : r == 0 ? top : r == rows - 1 ? bottom : "";
    result += strCat({"  ", paint(look, Color::dim, strCat({pad(text, label, Align::right), " ", side})),
                      paint(look, Color::cyan, canvas.row(r)), "\n"});
  }
  const std::string margin = repeat(" ", label + 4);
  const std::string axis =
      strCat({repeat(" ", label + 3), look.unicode ? "└" : "+", repeat(look.unicode ? "─" : "-", columns)});
  result += paint(look, Color::dim, axis) + "\n";
  if (const std::string marks = markLine(look, plot, x, columns); !marks.empty()) {
    result += margin + paint(look, Color::yellow, marks) + "\n";
  }
  const std::string begin = seconds(x.low), end = seconds(x.high);
  const int between = columns - displayWidth(begin) - displayWidth(end);
  result += margin + paint(look, Color::dim, begin + repeat(" ", std::max(between, 1)) + end) + "\n";
  return result;
}

}  // namespace buoy::cli
