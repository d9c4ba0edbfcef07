#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/synchronized.h"
#include "os/fd.h"

namespace buoy::os {

// One thread's readiness, timers and messages from other threads (epoll). It sleeps until something happens:
// an idle loop costs nothing. Everything but post() and stop() belongs to the thread that runs the loop;
// callbacks run there. A callback may watch, unwatch and cancel anything, itself included.
class EventLoop {
 public:
  using Callback = std::function<void()>;
  using TimerId = std::uint64_t;  // zero: none

  // `clock` decides when timers are due; it outlives the loop.
  explicit EventLoop(const Clock& clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `on_readable` whenever `fd` can be read or its other end is closed (level-triggered). The
  // descriptor stays the caller's and must be unwatched before it is closed.
  void watch(int fd, Callback on_readable);
  void unwatch(int fd);  // harmless if not watched
  bool watching(int fd) const { return watched_.contains(fd); }

  // Calls `callback` once, `delay` from now.
  TimerId after(Duration delay, Callback callback);
  void cancel(TimerId timer);  // harmless if it has fired or is zero

  // From any thread: runs `callback` on the loop's thread, in order. Dropped if the loop never runs again.
  void post(Callback callback);

  // Runs until stop().
  void run();
  // Runs what is ready, waiting at most `limit` for something to be. For tests, and for draining at the end.
  void runOnce(Duration limit);
  // From any thread.
  void stop();

 private:
  void runPosted();
  void runTimers();
  Duration untilNextTimer(Duration limit) const;

  const Clock& clock_;
  Fd epoll_;
  Fd wake_;
  std::map<int, std::shared_ptr<Callback>> watched_;
  std::map<std::pair<Time, TimerId>, Callback> timers_;
  std::map<TimerId, Time> due_;
  TimerId last_timer_ = 0;
  struct Posted {
    std::vector<Callback> callbacks;
    bool stop = false;
  };
  Synchronized<Posted> posted_;
};

}  // namespace buoy::os
