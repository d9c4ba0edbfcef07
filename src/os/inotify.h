#pragma once

#include <sys/inotify.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::os {

// The kernel's file change queue. Not thread-safe; non-blocking, to be watched by an EventLoop.
class Inotify {
 public:
  struct Event {
    int watch = -1;            // -1 with IN_Q_OVERFLOW
    std::uint32_t mask = 0;    // IN_*
    std::uint32_t cookie = 0;  // pairs IN_MOVED_FROM with IN_MOVED_TO
    std::string_view name;     // of the entry in the watched directory; empty: the directory itself
  };

  static Result<Inotify> create();

  // `mask`: IN_*. Watching a directory twice returns the same number. resource_exhausted: the user's limit of
  // watches.
  Result<int> add(const std::string& path, std::uint32_t mask);
  void remove(int watch);
  // Calls `on_event` for everything in the queue, without waiting for more.
  void drain(const std::function<void(const Event&)>& on_event);
  int fd() const { return fd_.get(); }

 private:
  explicit Inotify(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace buoy::os
