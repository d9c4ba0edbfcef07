#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "objstore/transfer/concurrency.h"

namespace buoy::objstore {

// The bytes a second that everything which shares it may move. Threads: any.
class Throttle {
 public:
  explicit Throttle(std::uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}  // 0: no limit
  // Counts the bytes, and sleeps so long that the rate is kept; ends early when `stop` is requested.
  void moved(std::uint64_t bytes, const std::stop_token& stop);

 private:
  const std::uint64_t rate_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point free_at_{};
};

struct PoolOptions {
  int threads = 0;  // 0: chosen from what is measured, up to max_threads
  int max_threads = 32;
  int nice = 0;  // of the threads: 19 leaves the processor to whoever else wants it
};

// Threads that move bytes. How many work at once follows what the moved bytes and finished tasks say: more as
// long as more is faster. Threads: any may submit.
class TransferPool {
 public:
  using Task = std::function<void()>;
  explicit TransferPool(PoolOptions options);
  ~TransferPool();  // runs what was submitted, and waits
  TransferPool(const TransferPool&) = delete;
  TransferPool& operator=(const TransferPool&) = delete;

  // Blocks while many tasks wait already, unless called by a task of this pool.
  void submit(Task task);
  // The priority of its threads from their next task on. To a higher one than before (a lower number) only
  // where the process may: as root, or with CAP_SYS_NICE.
  void setNice(int nice) { nice_.store(nice, std::memory_order_relaxed); }
  // What tasks report, so that concurrency can follow it.
  void moved(std::uint64_t bytes) { concurrency_.moved(bytes); }
  // Bytes a second that one connection gets at present; 0: not known yet.
  std::uint64_t ratePerConnection() const { return concurrency_.ratePerConnection(); }

 private:
  void work(int index, const std::stop_token& stop);
  void ensureThread();

  const PoolOptions options_;
  std::atomic<int> nice_;
  Concurrency concurrency_;
  std::mutex mutex_;
  std::condition_variable_any wake_, room_;
  std::deque<Task> tasks_;
  int idle_ = 0;
  bool closing_ = false;  // no new threads
  std::vector<std::jthread> threads_;
};

// Tasks that belong together: the first error cancels those that have not begun. Threads: any.
class TaskGroup {
 public:
  explicit TaskGroup(TransferPool& pool, std::stop_token stop = {});
  ~TaskGroup();  // cancels, and waits
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  void run(std::function<Status()> task);
  Status wait();    // all have ended; the first error
  Status cancel();  // those that have not begun do not begin; waits for the others
  std::stop_token stop() const { return stop_.get_token(); }

 private:
  TransferPool& pool_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> outer_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::size_t running_ = 0;
  Status first_error_;
};

}  // namespace buoy::objstore
