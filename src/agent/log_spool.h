#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::agent {

// The framed log of one attempt and rank on the machine's disk, from where it is shipped by offset. It is a
// plain file that only grows: what was not yet shipped survives a control plane that is away and an agent
// that is started again. Threads: append and size from the loop; read from the uplink at the same time.
class LogSpool {
 public:
  // Creates or continues `path`. A line that a killed agent left unfinished is ended first.
  static Result<LogSpool> open(const std::string& path);

  // All of `frames`, which end with a newline, or an error and nothing: a disk that is full leaves no part of
  // a line.
  Status append(std::string_view frames);
  std::uint64_t size() const { return size_; }
  // Up to `limit` bytes from `offset`; empty at the end.
  Result<std::string> read(std::uint64_t offset, std::size_t limit) const;

 private:
  LogSpool(os::Fd fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}
  os::Fd fd_;
  std::uint64_t size_;
};

}  // namespace buoy::agent
