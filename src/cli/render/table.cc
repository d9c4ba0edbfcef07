#include "cli/render/table.h"

#include <algorithm>

namespace buoy::cli {
namespace {

constexpr int kGap = 2;
constexpr int kNarrowest = 8;  // an elastic column is not cut below this

std::vector<int> columnWidths(const Table& table) {
  std::vector<int> widths(table.columns.size(), 0);
  for (std::size_t c = 0; c < widths.size(); ++c) {
    for (const auto& row : table.rows) widths[c] = std::max(widths[c], displayWidth(row[c].text));
    const bool empty = widths[c] == 0 && !table.rows.empty();
    if (!empty) widths[c] = std::max(widths[c], displayWidth(table.columns[c].title));
  }
  return widths;
}

void shrink(const Look& look, const Table& table, std::vector<int>& widths) {
  if (look.width <= 0) return;
  int total = -kGap;
  for (const int width : widths) total += width > 0 ? width + kGap : 0;
  // The widest elastic column gives way first, column by column.
  while (total > look.width) {
    std::size_t widest = widths.size();
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (!table.columns[c].elastic || widths[c] <= kNarrowest) continue;
      if (widest == widths.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == widths.size()) return;
    --widths[widest];
    --total;
  }
}

}  // namespace

std::string renderTable(const Look& look, const Table& table) {
  std::vector<int> widths = columnWidths(table);
  shrink(look, table, widths);
  std::string result;
  const auto line = [&](auto&& textOf, auto&& colorOf) {
    std::string text;
    int owed = 0;  // spaces not yet written, so that no line ends in spaces
    for (std::size_t c = 0; c < widths.size(); ++c) {
      if (widths[c] == 0) continue;
      const std::string cut = fit(look, textOf(c), widths[c]);
      const int space = widths[c] - displayWidth(cut);
      const bool right = table.columns[c].align == Align::right;
      if (!cut.empty()) {
        text += repeat(" ", owed + (right ? space : 0));
        text += paint(look, colorOf(c), cut);
        owed = right ? 0 : space;
      } else {
        owed += space;
      }
      owed += kGap;
    }
    result += text;
    result += '\n';
  };
  line([&](std::size_t c) -> const std::string& { return table.columns[c].title; },
       [](std::size_t) { return Color::dim; });
  for (const auto& row : table.rows) {
    line([&](std::size_t c) -> const std::string& { return row[c].text; },
         [&](std::size_t c) { return row[c].color; });
  }
  return result;
}

}  // namespace buoy::cli
