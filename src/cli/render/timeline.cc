#include "cli/render/timeline.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace buoy::cli {
namespace {

constexpr std::size_t kMostRows = 24;

// Signs differ in shape as well as in colour: not everybody sees colours, and not every terminal shows them.
std::string_view signOfUse(const Look& look, engine::Use use) {
  switch (use) {
    case engine::Use::useful:
      return look.unicode ? "█" : "#";
    case engine::Use::redone:
      return look.unicode ? "▒" : "x";
    case engine::Use::saving:
      return look.unicode ? "▄" : "s";
    case engine::Use::restoring:
      return look.unicode ? "▀" : "r";
    case engine::Use::starting:
      return look.unicode ? "╌" : "-";
    case engine::Use::waiting:
      return look.unicode ? "·" : ".";
  }
  return "?";
}

using PerUse = std::array<Duration, engine::kUseCount>;

// For each column, how long each use lasted in it.
std::vector<PerUse> fill(const TimelineRow& row, Time begin, Duration whole, int columns) {
  std::vector<PerUse> cells(static_cast<std::size_t>(columns));
  const auto edge = [&](int column) { return begin + whole * column / columns; };
  const auto columnOf = [&](Time at) {
    return static_cast<int>(
        std::clamp<std::int64_t>((at - begin).count() * columns / whole.count(), 0, columns - 1));
  };
  for (const TimelineRow::Piece& piece : row.pieces) {
    for (int c = columnOf(piece.begin); c <= columnOf(piece.end); ++c) {
      const Duration inside = std::min(piece.end, edge(c + 1)) - std::max(piece.begin, edge(c));
      if (inside > Duration{})
        cells[static_cast<std::size_t>(c)][static_cast<std::size_t>(piece.use)] += inside;
    }
  }
  return cells;
}

std::string drawRow(const Look& look, const std::vector<PerUse>& cells) {
  std::string text;
  std::string run;  // neighbours of one colour share an escape sequence
  Color run_color = Color::plain;
  const auto flush = [&] {
    text += paint(look, run_color, run);
    run.clear();
  };
  for (const PerUse& cell : cells) {
    const auto most = std::max_element(cell.begin(), cell.end());
    const auto use = static_cast<engine::Use>(most - cell.begin());
    const Color color = *most > Duration{} ? colorOf(use) : Color::plain;
    if (color != run_color) {
      flush();
      run_color = color;
    }
    run += *most > Duration{} ? signOfUse(look, use) : " ";
  }
  if (run_color == Color::plain) run.erase(run.find_last_not_of(' ') + 1);
  flush();
  return text;
}

std::string legend(const Look& look, const std::array<bool, engine::kUseCount>& seen) {
  std::string text;
  for (std::size_t u = 0; u < seen.size(); ++u) {
    if (!seen[u]) continue;
    const auto use = static_cast<engine::Use>(u);
    if (!text.empty()) text += "  ";
    text += paint(look, colorOf(use), signOfUse(look, use)) + " " + std::string(engine::toString(use));
  }
  return text;
}

}  // namespace

Color colorOf(engine::Use use) {
  switch (use) {
    case engine::Use::useful:
      return Color::green;
    case engine::Use::redone:
      return Color::red;
    case engine::Use::saving:
      return Color::cyan;
    case engine::Use::restoring:
      return Color::blue;
    case engine::Use::starting:
      return Color::yellow;
    case engine::Use::waiting:
      return Color::magenta;
  }
  return Color::plain;
}

std::string renderTimeline(const Look& look, const std::vector<TimelineRow>& rows) {
  Time begin = Time::max(), end = Time::min();
  std::array<bool, engine::kUseCount> seen{};
  int label = 0, ending = 0;
  const std::size_t shown = std::min(rows.size(), kMostRows);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (const TimelineRow::Piece& piece : rows[r].pieces) {
      begin = std::min(begin, piece.begin);
      end = std::max(end, piece.end);
      seen[static_cast<std::size_t>(piece.use)] = true;
    }
    if (r >= shown) continue;
    label = std::max(label, displayWidth(rows[r].label));
    ending = std::max(ending, displayWidth(rows[r].ending));
  }
  if (begin >= end) return {};
  const int columns =
      std::clamp((look.width > 0 ? look.width : 80) - label - (ending > 0 ? ending + 3 : 0) - 4, 16, 64);
  const std::string_view lost = look.unicode ? "✗ " : "! ";

  std::string result;
  for (std::size_t r = 0; r < shown; ++r) {
    const std::string drawn = drawRow(look, fill(rows[r], begin, end - begin, columns));
    result += "  " + pad(rows[r].label, label) + "  " + drawn;
    if (!rows[r].ending.empty()) {
      result += " " + paint(look, Color::dim, strCat({lost, rows[r].ending}));
    }
    result += '\n';
  }
  if (rows.size() > shown) {
    result +=
        paint(look, Color::dim, "  and " + std::to_string(rows.size() - shown) + " more machines") + "\n";
  }
  const std::string last = formatDuration(end - begin);
  const std::string axis = "0s" + repeat(" ", std::max(1, columns - 2 - displayWidth(last))) + last;
  result += repeat(" ", label + 4) + paint(look, Color::dim, axis) + "\n";
  return result + repeat(" ", label + 4) + legend(look, seen) + "\n";
}

}  // namespace buoy::cli
