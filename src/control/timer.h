#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/units.h"

namespace buoy::control {

// Runs short callbacks later, on one thread of its own, by the monotonic clock. For the deadlines of waiting
// clients and for retries; nothing that the engine decides hangs on it. Threads: any.
class Timer {
 public:
  Timer();
  ~Timer() { stop(); }
  // The callback must not block. After stop it is dropped.
  void after(Duration delay, std::function<void()> callback);
  void stop();  // waits for the callback that is running; idempotent

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> waiting_;
  bool stopped_ = false;
  std::jthread thread_;
};

}  // namespace buoy::control
