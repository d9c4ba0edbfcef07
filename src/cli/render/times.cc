#include "cli/render/times.h"

#include <algorithm>
#include <ctime>

namespace buoy::cli {
namespace {

std::string formatted(Time at, const char* format) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(at));
  std::tm local{};
  char text[32];
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  return {text, std::strftime(text, sizeof text, format, &local)};
}

// How many bytes at the beginning of `text` are a time as formatTime writes it; zero: it is none.
std::size_t timeAtFront(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  const auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() <= kShape.size()) return 0;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !isDigit(text[i]) : text[i] != kShape[i]) return 0;
  }
  std::size_t end = kShape.size();
  if (text[end] == '.')
    end = static_cast<std::size_t>(std::find_if_not(text.begin() + end + 1, text.end(), isDigit) -
                                   text.begin());
  return end < text.size() && text[end] == 'Z' ? end + 1 : 0;
}

}  // namespace

std::string clockTime(Time at) {
  return formatted(at, "%H:%M:%S");
}

std::string localTime(Time at) {
  return formatted(at, "%Y-%m-%d %H:%M:%S");
}

std::string timeBeside(Time at, Time told) {
  return formatted(at, "%F") == formatted(told, "%F") ? clockTime(at) : localTime(at);
}

std::string withLocalTimes(std::string_view sentence, Time told) {
  std::string text;
  while (!sentence.empty()) {
    const std::size_t size = timeAtFront(sentence);
    const auto time =
        size == 0 ? Result<Time>(fail(ErrorCode::not_found, "")) : parseTime(sentence.substr(0, size));
    if (time) {
      text += timeBeside(*time, told);
    } else {
      text += sentence.front();
    }
    sentence.remove_prefix(time ? size : 1);
  }
  return text;
}

}  // namespace buoy::cli
