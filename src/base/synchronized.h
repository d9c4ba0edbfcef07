#pragma once

#include <mutex>
#include <utility>

namespace buoy {

// Data reachable only through its lock: *synchronized.lock() or withLock(f). No I/O and no callback under it.
template <class T>
class Synchronized {
 public:
  template <class... Args>
  explicit Synchronized(Args&&... args) : value_(std::forward<Args>(args)...) {}

  class Guard {
   public:
    explicit Guard(std::mutex& mutex, T& value) : lock_(mutex), value_(value) {}
    T& operator*() const { return value_; }
    T* operator->() const { return &value_; }
    std::unique_lock<std::mutex>& mutexLock() { return lock_; }  // for a condition variable's wait

   private:
    std::unique_lock<std::mutex> lock_;
    T& value_;
  };

  Guard lock() { return Guard(mutex_, value_); }

  template <class F>
  auto withLock(F&& f) {
    std::lock_guard guard(mutex_);
    return std::forward<F>(f)(value_);
  }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace buoy
