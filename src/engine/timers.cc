#include "engine/timers.h"

#include <tuple>

namespace buoy::engine {

bool TimerHeap::before(const Entry& a, const Entry& b) {
  if (a.at != b.at) return a.at < b.at;
  return std::tie(a.timer->kind, a.timer->id) < std::tie(b.timer->kind, b.timer->id);
}

void TimerHeap::put(std::size_t position, const Entry& entry) {
  heap_[position] = entry;
  entry.timer->position = static_cast<std::int32_t>(position);
}

void TimerHeap::siftUp(std::size_t position) {
  const Entry entry = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!before(entry, heap_[parent])) break;
    put(position, heap_[parent]);
    position = parent;
  }
  put(position, entry);
}

void TimerHeap::siftDown(std::size_t position) {
  const Entry entry = heap_[position];
  while (true) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], entry)) break;
    put(position, heap_[child]);
    position = child;
  }
  put(position, entry);
}

void TimerHeap::set(Timer& timer, Time at) {
  if (timer.position < 0) {
    timer.at = at;
    heap_.push_back({at, &timer});
    siftUp(heap_.size() - 1);
    return;
  }
  if (timer.at == at) return;
  const bool earlier = at < timer.at;
  timer.at = at;
  const auto position = static_cast<std::size_t>(timer.position);
  heap_[position].at = at;
  if (earlier) {
    siftUp(position);
  } else {
    siftDown(position);
  }
}

void TimerHeap::remove(Timer& timer) {
  if (timer.position < 0) return;
  const auto position = static_cast<std::size_t>(timer.position);
  timer.position = -1;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.timer == &timer) return;
  put(position, last);
  siftUp(position);
  siftDown(static_cast<std::size_t>(last.timer->position));
}

}  // namespace buoy::engine
