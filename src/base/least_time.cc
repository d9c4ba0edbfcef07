#include "base/least_time.h"

namespace buoy {

Duration leastTime(Duration least) {
  if (least > std::chrono::hours{1}) return std::chrono::ceil<std::chrono::minutes>(least);
  return std::chrono::ceil<std::chrono::seconds>(least);
}

std::string leastTimeText(Duration least) {
  const Duration time = leastTime(least);
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(time);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(time - hours);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time - hours - minutes);
  std::string text;
  const auto add = [&](auto value, char unit) {
    if (value.count() > 0) text += (text.empty() ? "" : " ") + std::to_string(value.count()) + unit;
  };
  add(hours, 'h');
  add(minutes, 'm');
  add(seconds, 's');
  return text.empty() ? "0s" : text;
}

}  // namespace buoy
