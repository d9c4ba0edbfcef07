#include "control/serial_workers.h"

#include <utility>

namespace buoy::control {

SerialWorkers::SerialWorkers(int threads, std::size_t capacity) : capacity_(capacity) {
  for (int n = 0; n < threads; ++n) lanes_.push_back(std::make_unique<Lane>());
  for (const auto& lane : lanes_) lane->thread = std::jthread([&l = *lane] { work(l); });
}

void SerialWorkers::work(Lane& lane) {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(lane.mutex);
      lane.arrived.wait(lock, [&] { return lane.stopped || !lane.tasks.empty(); });
      if (lane.stopped) return;
      task = std::move(lane.tasks.front());
      lane.tasks.pop_front();
    }
    task();
  }
}

bool SerialWorkers::post(std::uint64_t key, std::function<void()> task) {
  Lane& lane = *lanes_[key % lanes_.size()];
  {
    const std::lock_guard lock(lane.mutex);
    if (lane.stopped || lane.tasks.size() >= capacity_) return false;
    lane.tasks.push_back(std::move(task));
  }
  lane.arrived.notify_one();
  return true;
}

void SerialWorkers::stop() {
  for (const auto& lane : lanes_) {
    const std::lock_guard lock(lane->mutex);
    lane->stopped = true;
    lane->arrived.notify_one();
  }
  for (const auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
    // Outside the lock: a dropped task may own something whose end posts again.
    std::deque<std::function<void()>> dropped;
    const std::lock_guard lock(lane->mutex);
    dropped.swap(lane->tasks);
  }
}

}  // namespace buoy::control
