#include "engine/timers.h"

#include <algorithm>
#include <tuple>

namespace buoy::engine {
namespace {

bool before(const Timer& a, const Timer& b) {
  return std::tie(a.at, a.kind, a.id) < std::tie(b.at, b.kind, b.id);
}

}  // namespace

void TimerHeap::put(std::size_t position, Timer* timer) {
  heap_[position] = timer;
  timer->position = static_cast<std::int32_t>(position);
}

void TimerHeap::siftUp(std::size_t position) {
  Timer* const timer = heap_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (!before(*timer, *heap_[parent])) break;
    put(position, heap_[parent]);
    position = parent;
  }
  put(position, timer);
}

void TimerHeap::siftDown(std::size_t position) {
  Timer* const timer = heap_[position];
  while (true) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *timer)) break;
    put(position, heap_[child]);
    position = child;
  }
  put(position, timer);
}

void TimerHeap::set(Timer& timer, Time at) {
  if (timer.position < 0) {
    timer.at = at;
    heap_.push_back(&timer);
    siftUp(heap_.size() - 1);
    return;
  }
  if (timer.at == at) return;
  const bool earlier = at < timer.at;
  timer.at = at;
  const auto position = static_cast<std::size_t>(timer.position);
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
  Timer* const last = heap_.back();
  heap_.pop_back();
  if (last == &timer) return;
  put(position, last);
  siftUp(position);
  siftDown(static_cast<std::size_t>(last->position));
}

}  // namespace buoy::engine
