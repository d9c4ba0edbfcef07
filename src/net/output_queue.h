#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>

namespace buoy::net {

// Bytes on their way to a socket. What pieces() returned stays in place until consume(), whatever is
// appended.
class OutputQueue {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // A string to append to: the last piece if it may still grow, else a new one. Call appended() afterwards.
  std::string& tail() {
    if (pieces_.size() <= in_flight_ || pieces_.back().size() >= kPieceSize) {
      pieces_.push_back(std::move(spare_));
      pieces_.back().clear();
      spare_ = {};
    }
    return pieces_.back();
  }
  void appended(std::size_t bytes) { size_ += bytes; }

  void append(std::string_view data) {
    tail() += data;
    size_ += data.size();
  }
  // Long data is taken over, not copied.
  void take(std::string&& data) {
    if (data.size() < kPieceSize / 4) return append(std::string_view(data));
    size_ += data.size();
    pieces_.push_back(std::move(data));
  }

  // Fills `out` from the front and returns how many entries. These pieces are in flight until consume().
  std::size_t pieces(std::span<std::string_view> out) {
    std::size_t count = 0;
    while (count < out.size() && count < pieces_.size()) {
      out[count] = pieces_[count];
      if (count == 0) out[0].remove_prefix(offset_);
      ++count;
    }
    in_flight_ = count;
    return count;
  }

  void consume(std::size_t bytes) {
    in_flight_ = 0;
    size_ -= bytes;
    offset_ += bytes;
    while (!pieces_.empty() && offset_ >= pieces_.front().size()) {
      offset_ -= pieces_.front().size();
      if (pieces_.front().capacity() <= kPieceSize * 2) spare_ = std::move(pieces_.front());
      pieces_.pop_front();
    }
  }

 private:
  static constexpr std::size_t kPieceSize = 64u << 10;
  std::deque<std::string> pieces_;
  std::string spare_;          // keeps its memory from one answer to the next
  std::size_t offset_ = 0;     // of the first piece: sent
  std::size_t in_flight_ = 0;  // pieces that must not change
  std::size_t size_ = 0;
};

}  // namespace buoy::net
