#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace buoy {

// A secret. It is no string, so that it gets into no message, log or dump by accident: whoever needs it says
// so.
class Redacted {
 public:
  Redacted() = default;
  Redacted(std::string value) : value_(std::move(value)) {}
  Redacted(std::string_view value) : value_(value) {}
  Redacted(const char* value) : value_(value) {}

  // To sign or to send, nothing else.
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Redacted&) const = default;

 private:
  std::string value_;
};

// What is shown in its place, where something is.
inline std::string_view toString(const Redacted& secret) {
  return secret.empty() ? "" : "(secret)";
}

}  // namespace buoy
