#include "agent/log_framer.h"

#include <algorithm>
#include <cctype>

namespace buoy::agent {
namespace {

// Where to cut `text` at or before `limit` so that no UTF-8 sequence is divided; `limit` if it is not UTF-8
// there.
std::size_t cutPoint(std::string_view text, std::size_t limit) {
  for (std::size_t back = 0; back < 4 && back < limit; ++back) {
    const auto byte = static_cast<unsigned char>(text[limit - back]);
    if ((byte & 0xC0u) != 0x80u) return limit - back;
  }
  return limit;
}

}  // namespace

void LogFramer::feed(std::string_view bytes, Time now, std::string& frames, const OnText& on_text) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    if (newline != std::string_view::npos && partial_.empty() && newline <= kMaxPiece) {
      emit(bytes.substr(0, newline), true, now, frames, on_text);  // the common case: no copy
      bytes.remove_prefix(newline + 1);
      continue;
    }
    const std::size_t room = kMaxPiece + 1 - partial_.size();
    const std::size_t taken = std::min({newline, bytes.size(), room});
    partial_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (partial_.size() > kMaxPiece) {
      const std::size_t cut = cutPoint(partial_, kMaxPiece);
      emit(std::string_view(partial_).substr(0, cut), false, now, frames, on_text);
      partial_.erase(0, cut);
    } else if (taken == newline) {
      emit(partial_, true, now, frames, on_text);
      partial_.clear();
      bytes.remove_prefix(1);
    }
  }
}

void LogFramer::finish(Time now, std::string& frames, const OnText& on_text) {
  if (partial_.empty()) return;
  emit(partial_, false, now, frames, on_text);
  partial_.clear();
  partial_.shrink_to_fit();
}

void LogFramer::emit(std::string_view text, bool complete, Time now, std::string& frames,
                     const OnText& on_text) const {
  frames += std::to_string(now.time_since_epoch().count());
  frames += ' ';
  frames += complete ? stream_ : static_cast<char>(std::toupper(stream_));
  frames += ' ';
  frames += text;
  frames += '\n';
  if (on_text) on_text(text);
}

}  // namespace buoy::agent
