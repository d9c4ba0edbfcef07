#include "engine/timers.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>

namespace buoy::engine {
namespace {

// Against a sorted list: whatever is set, moved and removed, the earliest is the earliest.
TEST(TimerHeap, KeepsTheEarliestFirst) {
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& changes) {
    std::vector<Timer> timers(16);
    for (std::size_t i = 0; i < timers.size(); ++i) timers[i].id = i;
    TimerHeap heap;
    std::map<std::size_t, int> expected;
    for (const auto& [which, at] : changes) {
      const std::size_t index = which % timers.size();
      if (at % 5 == 0) {
        heap.remove(timers[index]);
        expected.erase(index);
      } else {
        heap.set(timers[index], Time{Duration{at}});
        expected[index] = at;
      }
      RC_ASSERT(heap.size() == expected.size());
      if (expected.empty()) {
        RC_ASSERT(heap.earliest() == nullptr);
        continue;
      }
      auto earliest = expected.begin();
      for (auto it = expected.begin(); it != expected.end(); ++it) {
        if (it->second < earliest->second) earliest = it;
      }
      RC_ASSERT(heap.earliest() == &timers[earliest->first]);
    }
  }));
}

}  // namespace
}  // namespace buoy::engine
