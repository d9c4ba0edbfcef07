#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
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
  std::uint64_t id = 0;
  What what = What::tick;
};

// What will happen, in the order of time; of equal times the first put comes first. A radix heap: time never
// goes back, so what waits is ranked by the highest bit in which its time differs from the instant that was
// reached, and is looked at again only when that bit has been reached. Within a rank things lie as they were
// put, and those of one instant are always in one rank: they need no number to stay in order.
class EventQueue {
 public:
  // What was due before the instant that was reached is due now.
  void push(Time at, What what, std::uint64_t id = 0) {
    put({std::max(at, reached_), id, what});
    ++size_;
  }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  // Not of an empty queue.
  Due pop() {
    std::vector<Due>& now = ranks_[0];
    if (first_ == now.size()) reachNext();
    const Due due = now[first_++];
    if (first_ == now.size()) {
      now.clear();
      first_ = 0;
    }
    --size_;
    return due;
  }

 private:
  static std::uint64_t bitsOf(Time at) { return static_cast<std::uint64_t>(at.time_since_epoch().count()); }

  void put(const Due& due) {
    const auto rank = static_cast<std::size_t>(std::bit_width(bitsOf(due.at) ^ bitsOf(reached_)));
    ranks_[rank].push_back(due);
    filled_ |= std::uint64_t{1} << rank;
  }
  // The earliest is in the lowest rank; all of that have the bit, so each goes to a lower one.
  void reachNext() {
    filled_ &= ~std::uint64_t{1};
    std::vector<Due>& from = ranks_[static_cast<std::size_t>(std::countr_zero(filled_))];
    filled_ &= filled_ - 1;
    reached_ = std::min_element(from.begin(), from.end(), [](const Due& a, const Due& b) {
                 return a.at < b.at;
               })->at;
    for (const Due& due : from) put(due);
    from.clear();
  }

  std::array<std::vector<Due>, 64> ranks_;  // of the first, what is due at `reached_`, from `first_` on
  std::uint64_t filled_ = 0;                // a bit for each rank; those of the first may be stale
  std::size_t first_ = 0, size_ = 0;
  Time reached_{};
};

}  // namespace buoy::sim
