#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/units.h"

namespace buoy::cli {

// Between the threads that read from the server and the one that prints: first in, first out, bounded, so
// that a terminal that is slow slows the readers instead of filling the memory.
template <class Item>
class LineQueue {
 public:
  explicit LineQueue(std::size_t most) : most_(most) {}

  // Waits for room. False if `stop` came first: the item is dropped.
  bool push(Item item, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!room_.wait(lock, stop, [this] { return items_.size() < most_; })) return false;
    items_.push_back(std::move(item));
    filled_.notify_one();
    return true;
  }

  // Waits at most `limit` for an item.
  std::optional<Item> pop(Duration limit) {
    std::unique_lock lock(mutex_);
    if (!filled_.wait_for(lock, limit, [this] { return !items_.empty(); })) return std::nullopt;
    std::optional<Item> item(std::move(items_.front()));
    items_.pop_front();
    room_.notify_one();
    return item;
  }

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable_any room_, filled_;
  std::deque<Item> items_;
};

}  // namespace buoy::cli
