#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace buoy::control {

// A fixed number of threads for work that may block. Tasks of the same key run one after another, in the
// order in which they were posted; tasks of different keys may run at once. Threads: post from any.
class SerialWorkers {
 public:
  // `capacity`: how many tasks may wait for each thread before post refuses.
  SerialWorkers(int threads, std::size_t capacity);
  ~SerialWorkers() { stop(); }

  // False when too many wait, or after stop: the task was not taken.
  bool post(std::uint64_t key, std::function<void()> task);
  // Waits for the tasks that are running and drops the rest. Idempotent.
  void stop();

 private:
  struct Lane {
    std::mutex mutex;
    std::condition_variable arrived;
    std::deque<std::function<void()>> tasks;
    bool stopped = false;
    std::jthread thread;
  };
  static void work(Lane& lane);

  std::size_t capacity_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace buoy::control
