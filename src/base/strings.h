#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace buoy {

std::string strCat(std::initializer_list<std::string_view> parts);
std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);
// ASCII letters only.
std::string lowerCase(std::string_view text);
bool isDigit(char c);  // 0 to 9
bool isValidUtf8(std::string_view text);
// For messages: 'text' in quotes, cut at 60 bytes, '?' for control characters.
std::string inQuotes(std::string_view text);
// Lower-case hexadecimal of bytes.
std::string toHex(std::span<const unsigned char> bytes);
// Whether two words are the same but for - and _: people write on-demand and on_demand.
bool sameWord(std::string_view a, std::string_view b);

// The candidate nearest to `word` by edit distance, if near enough to be what was meant (at most a third of
// its length, at least 1).
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace buoy
