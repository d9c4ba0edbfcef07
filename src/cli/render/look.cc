#include "cli/render/look.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace buoy::cli {
namespace {

std::string_view codeOf(Color color) {
  switch (color) {
    case Color::plain:
      return "";
    case Color::bold:
      return "\033[1m";
    case Color::dim:
      return "\033[2m";
    case Color::red:
      return "\033[31m";
    case Color::green:
      return "\033[32m";
    case Color::yellow:
      return "\033[33m";
    case Color::blue:
      return "\033[34m";
    case Color::magenta:
      return "\033[35m";
    case Color::cyan:
      return "\033[36m";
  }
  return "";
}

struct CodePoint {
  char32_t value = 0;
  std::size_t size = 1;  // bytes
};

CodePoint codePointAt(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (size == 1 || at + size > text.size()) return {lead, 1};
  char32_t value = lead & (0xFFu >> (size + 1));
  for (std::size_t k = 1; k < size; ++k) {
    value = (value << 6) | (static_cast<unsigned char>(text[at + k]) & 0x3Fu);
  }
  return {value, size};
}

// Enough of Unicode's East Asian Width for names and paths; the C library's wcwidth depends on the locale.
int columnsOf(char32_t value) {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array<Range, 6> kNone{{{0x0300, 0x036F},
                                               {0x200B, 0x200F},
                                               {0x20D0, 0x20FF},
                                               {0xFE00, 0xFE0F},
                                               {0xFE20, 0xFE2F},
                                               {0xE0100, 0xE01EF}}};
  static constexpr std::array<Range, 10> kWide{{{0x1100, 0x115F},
                                                {0x2E80, 0x303E},
                                                {0x3041, 0xA4CF},
                                                {0xAC00, 0xD7A3},
                                                {0xF900, 0xFAFF},
                                                {0xFE30, 0xFE6F},
                                                {0xFF00, 0xFF60},
                                                {0xFFE0, 0xFFE6},
                                                {0x1F300, 0x1FAFF},
                                                {0x20000, 0x3FFFD}}};
  const auto within = [value](const Range& range) { return value >= range.first && value <= range.last; };
  if (std::any_of(kNone.begin(), kNone.end(), within)) return 0;
  return std::any_of(kWide.begin(), kWide.end(), within) ? 2 : 1;
}

// Bytes of the escape sequence that begins at `at`; zero if none does.
std::size_t escapeLength(std::string_view text, std::size_t at) {
  if (text[at] != '\033' || at + 1 >= text.size() || text[at + 1] != '[') return 0;
  std::size_t end = at + 2;
  while (end < text.size() && (text[end] < '@' || text[end] > '~')) ++end;
  return std::min(end + 1, text.size()) - at;
}

}  // namespace

std::string paint(const Look& look, Color color, std::string_view text) {
  if (!look.color || color == Color::plain || text.empty()) return std::string(text);
  return strCat({codeOf(color), text, "\033[0m"});
}

int displayWidth(std::string_view text) {
  int width = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t escape = escapeLength(text, i); escape > 0) {
      i += escape;
      continue;
    }
    const CodePoint point = codePointAt(text, i);
    width += columnsOf(point.value);
    i += point.size;
  }
  return width;
}

std::string fit(const Look& look, std::string_view text, int width) {
  if (displayWidth(text) <= width) return std::string(text);
  const std::string_view ellipsis = look.unicode ? "…" : "~";
  if (width < 1) return {};
  int used = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const CodePoint point = codePointAt(text, end);
    const int columns = columnsOf(point.value);
    if (used + columns > width - 1) break;
    used += columns;
    end += point.size;
  }
  return strCat({text.substr(0, end), ellipsis});
}

std::string pad(std::string_view text, int width, Align align) {
  const std::string space = repeat(" ", width - displayWidth(text));
  return align == Align::left ? strCat({text, space}) : strCat({space, text});
}

std::string cleaned(std::string_view text) {
  const bool valid = isValidUtf8(text);
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool control = byte < 0x20 || byte == 0x7F;
    result += control ? ' ' : (!valid && byte >= 0x80) ? '?' : c;
  }
  // C1 controls (U+0080 to U+009F) steer some terminals too.
  for (std::size_t at = result.find('\xC2'); at != std::string::npos; at = result.find('\xC2', at + 1)) {
    if (at + 1 < result.size() && static_cast<unsigned char>(result[at + 1]) < 0xA0)
      result.replace(at, 2, " ");
  }
  return result;
}

std::string repeat(std::string_view text, int count) {
  std::string result;
  if (count <= 0) return result;
  result.reserve(text.size() * static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

std::string wrap(std::string_view text, int width, std::string_view indent) {
  std::string result;
  int column = 0;
  bool begun = false;  // a word stands in the line
  for (const std::string_view word : split(text, ' ')) {
    const int length = displayWidth(word);
    if (begun && width > 0 && column + 1 + length > width) {
      result += '\n';
      result += indent;
      column = displayWidth(indent);
    } else if (begun) {
      result += ' ';
      ++column;
    }
    result += word;
    column += length;
    begun = true;
  }
  return result;
}

}  // namespace buoy::cli
