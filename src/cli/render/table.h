#pragma once

#include <string>
#include <vector>

#include "cli/render/look.h"

namespace buoy::cli {

struct Cell {
  std::string text;
  Color color = Color::plain;
  Cell(std::string t, Color c = Color::plain)
      : text(std::move(t)), color(c) {}  // NOLINT: cells are written as text
  Cell(const char* t) : text(t) {}       // NOLINT
};

struct Column {
  std::string title;
  Align align = Align::left;
  bool elastic = false;  // cut first when the table is wider than the terminal
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // each as long as `columns`
};

// A heading and one line a row, two spaces between columns, nothing at the ends of lines. Columns without any
// text are left out.
std::string renderTable(const Look& look, const Table& table);

}  // namespace buoy::cli
