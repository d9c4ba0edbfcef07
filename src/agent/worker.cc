#include "agent/worker.h"

#include <utility>

namespace buoy::agent {

Worker::Worker() : thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}

Worker::~Worker() {
  thread_.request_stop();
  thread_.join();
}

void Worker::submit(Task task) {
  {
    const std::lock_guard guard(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Worker::run(std::stop_token stop) {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (!wake_.wait(lock, stop, [this] { return !tasks_.empty(); })) return;
    if (stop.stop_requested()) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task(stop);
  }
}

}  // namespace buoy::agent
