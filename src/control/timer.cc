#include "control/timer.h"

#include <utility>

namespace buoy::control {

Timer::Timer() : thread_([this] { run(); }) {}

void Timer::after(Duration delay, std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  waiting_.emplace(std::chrono::steady_clock::now() + delay, std::move(callback));
  changed_.notify_one();
}

void Timer::stop() {
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(waiting_);
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Timer::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = waiting_.begin();
    if (std::chrono::steady_clock::now() < first->first) {
      const auto until = first->first;  // a copy: the entry may go while this waits
      changed_.wait_until(lock, until);
      continue;
    }
    auto callback = std::move(first->second);
    waiting_.erase(first);
    lock.unlock();
    callback();
    callback = nullptr;
    lock.lock();
  }
}

}  // namespace buoy::control
