#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace buoy::sim {

// What is due at an instant. What the numbers mean, the kind says.
enum class What : std::uint8_t {
  happening,  // `id`: its place in the scenario
  market,     // a zone's offer changes; `id`: the zone
  warning,    // a zone's offer will change
  call,       // a call arrives at the provider; `id`: its letter
  boot,       // a machine's agent starts; `id`: the machine
  end,        // a machine ends; `id`: the machine
  agent,      // an agent looks at its clock; `id`: the machine
  directive,  // an agent is told what it should be doing; `id`: the machine
  arrival,    // an event arrives at the control plane; `id`: its letter
  commit,     // the control plane commits what it has stepped through
  tick,       // the engine's next deadline
  restart,    // the control plane is up again
  plan,       // a plan is solved; `id`: its letter
  people,     // users look at what they have begun
};

struct Due {
  Time at{};
  std::uint64_t order = 0;  // of equal times the first put comes first
  std::uint64_t id = 0;
  What what = What::tick;
};

// What will happen, in the order of time. A heap of four children: half as deep as one of two, and the
// children lie in two cache lines.
class EventQueue {
 public:
  void push(Time at, What what, std::uint64_t id = 0) {
    heap_.push_back({});
    std::size_t hole = heap_.size() - 1;
    const Due due{at, next_order_++, id, what};
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / 4;
      if (!before(due, heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = due;
  }
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Due& front() const { return heap_.front(); }
  Due pop() {
    const Due result = heap_.front();
    const Due last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return result;
    std::size_t hole = 0;
    for (;;) {
      const std::size_t first = 4 * hole + 1;
      if (first >= heap_.size()) break;
      std::size_t least = first;
      for (std::size_t i = first + 1; i < std::min(first + 4, heap_.size()); ++i) {
        if (before(heap_[i], heap_[least])) least = i;
      }
      if (!before(heap_[least], last)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = last;
    return result;
  }

 private:
  static bool before(const Due& a, const Due& b) { return a.at != b.at ? a.at < b.at : a.order < b.order; }

  std::vector<Due> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace buoy::sim
