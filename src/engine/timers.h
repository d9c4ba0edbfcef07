#pragma once

#include <cstdint>
#include <vector>

#include "base/units.h"

namespace buoy::engine {

// Whose deadline it is. Ids of different kinds never compare equal.
enum class TimerKind : std::uint8_t { pool, machine, job };

// One deadline of one object, embedded in it: the heap knows where it stands, so that moving or removing it
// is O(log n) and a finished object leaves nothing behind.
struct Timer {
  Time at{};
  std::uint64_t id = 0;
  std::int32_t position = -1;  // in the heap; -1: not set
  TimerKind kind = TimerKind::job;
};

// Min-heap of timers that live elsewhere: they must outlive their place in it and never move. Equal times
// come in the order of kind and id, so that a run can be replayed.
class TimerHeap {
 public:
  void set(Timer& timer, Time at);
  void remove(Timer& timer);
  void clear() { heap_.clear(); }  // the timers' positions are the caller's to reset
  const Timer* earliest() const { return heap_.empty() ? nullptr : heap_.front().timer; }
  std::size_t size() const { return heap_.size(); }

 private:
  // The time again, so that timers far away in memory need not be looked at to compare.
  struct Entry {
    Time at{};
    Timer* timer = nullptr;
  };
  static bool before(const Entry& a, const Entry& b);
  void siftUp(std::size_t position);
  void siftDown(std::size_t position);
  void put(std::size_t position, const Entry& entry);

  std::vector<Entry> heap_;
};

}  // namespace buoy::engine
