#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
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

// What will happen, in the order of time. What is put for the very instant that was reached, which is most of
// it where nothing takes time on its way, waits in a line. The rest is a heap of four children: half as deep
// as one of two, and the children lie in two cache lines. Who is taken from it mostly puts its own next time
// there: the root stays vacant until then.
class EventQueue {
 public:
  void push(Time at, What what, std::uint64_t id = 0) {
    const Due due{at, next_order_++, id, what};
    if (at == reached_) return line_.push_back(due);
    if (std::exchange(vacant_, false)) return sink(due);
    heap_.push_back({});
    std::size_t hole = heap_.size() - 1;
    while (hole > 0) {
      const std::size_t parent = (hole - 1) / 4;
      if (!before(due, heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = due;
  }
  bool empty() const { return size() == 0; }
  std::size_t size() const { return line_.size() - first_ + heap_.size() - (vacant_ ? 1 : 0); }
  Due pop() {
    fillVacancy();
    if (first_ == line_.size() || (!heap_.empty() && before(heap_.front(), line_[first_]))) return popHeap();
    const Due due = line_[first_++];
    if (first_ == line_.size()) {
      line_.clear();
      first_ = 0;
    }
    return due;
  }

 private:
  __extension__ typedef __int128 Key;  // compared without a branch
  static Key keyOf(const Due& due) {
    return (static_cast<Key>(due.at.time_since_epoch().count()) << 64) | due.order;
  }
  static bool before(const Due& a, const Due& b) { return keyOf(a) < keyOf(b); }

  Due popHeap() {
    const Due due = heap_.front();
    if (line_.empty()) reached_ = due.at;  // while somebody waits in the line, it is reached already
    vacant_ = true;
    return due;
  }
  void fillVacancy() {
    if (!std::exchange(vacant_, false)) return;
    const Due last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sink(last);
  }
  // From the root, which is vacant.
  void sink(const Due& due) {
    const std::size_t size = heap_.size();
    std::size_t hole = 0;
    for (;;) {
      const std::size_t first = 4 * hole + 1;
      if (first >= size) break;
      std::size_t least = first;
      for (std::size_t i = first + 1; i < std::min(first + 4, size); ++i) {
        if (before(heap_[i], heap_[least])) least = i;
      }
      if (!before(heap_[least], due)) break;
      heap_[hole] = heap_[least];
      hole = least;
    }
    heap_[hole] = due;
  }

  std::vector<Due> heap_;
  std::vector<Due> line_;  // from `first_`; all of one instant, in the order of their coming
  std::size_t first_ = 0;
  bool vacant_ = false;  // the heap's root
  Time reached_{};
  std::uint64_t next_order_ = 0;
};

}  // namespace buoy::sim
