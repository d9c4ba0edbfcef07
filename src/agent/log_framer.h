#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace buoy::agent {

// Cuts one output stream of a job into the lines of docs/formats/log.md. Holds at most kMaxPiece bytes of an
// unfinished line. Not thread-safe.
class LogFramer {
 public:
  static constexpr std::size_t kMaxPiece = 64 * 1024;
  // Gets the text of every piece, without its newline: what metrics are looked for in.
  using OnText = std::function<void(std::string_view)>;

  explicit LogFramer(char stream) : stream_(stream) {}  // 'o' or 'e'

  // Appends to `frames` every line that `bytes` completes, stamped with `now`.
  void feed(std::string_view bytes, Time now, std::string& frames, const OnText& on_text);
  // Appends what is left of an unfinished line.
  void finish(Time now, std::string& frames, const OnText& on_text);

 private:
  void emit(std::string_view text, bool complete, Time now, std::string& frames, const OnText& on_text) const;

  char stream_;
  std::string partial_;
};

}  // namespace buoy::agent
