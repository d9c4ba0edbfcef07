#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// How text may look. Everything in render/ is pure: values in, text out, decided only by this.
namespace buoy::cli {

struct Look {
  bool color = false;
  bool unicode = false;
  int width = 0;  // columns; zero: no limit (not a terminal)
};

enum class Color : std::uint8_t { plain, bold, dim, red, green, yellow, blue, magenta, cyan };

// `text` in a colour, if the look has colours.
std::string paint(const Look& look, Color color, std::string_view text);

// Columns that UTF-8 text takes on a terminal: escape sequences and combining marks none, wide characters
// two.
int displayWidth(std::string_view text);
// Cut to `width` columns with an ellipsis. `text` must not contain escape sequences.
std::string fit(const Look& look, std::string_view text, int width);
enum class Align : std::uint8_t { left, right };
// Filled with spaces to `width` columns; longer text stays as it is.
std::string pad(std::string_view text, int width, Align align = Align::left);
// Without control characters and invalid UTF-8, so that a name or a reason cannot steer the terminal.
std::string cleaned(std::string_view text);
// `text` repeated `count` times; none when negative.
std::string repeat(std::string_view text, int count);
// Breaks at spaces into lines of at most `width` columns (a longer word stands alone); zero: one line.
std::string wrap(std::string_view text, int width, std::string_view indent);

}  // namespace buoy::cli
