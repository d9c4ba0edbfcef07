#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace buoy::os {

enum class LogLevel { debug, info, warn, error };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  template <class T>
  requires std::integral<T> LogField(std::string_view k, T v) : key(k), value(std::to_string(v)) {}
};

// One line: time, level, event=stable_name key=value … Threads: any. Never give it a secret: use Redacted.
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
// Appends to `path` ("" or "-": standard error, the default) at `level` and above. Call once, early.
void configureLog(const std::string& path, LogLevel level);

}  // namespace buoy::os
