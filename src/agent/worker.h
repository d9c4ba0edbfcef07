#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace buoy::agent {

// One thread for what blocks: the store, copying, hashing. Tasks run one at a time, in order; they hand their
// results to the event loop by post(). Threads: submit from any.
class Worker {
 public:
  using Task = std::function<void(std::stop_token)>;

  Worker();
  ~Worker();  // asks the running task to stop, drops the others, waits
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void submit(Task task);

 private:
  void run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Task> tasks_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace buoy::agent
