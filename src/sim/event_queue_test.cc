#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "sim/random.h"

namespace buoy::sim {
namespace {

// Beside an ordered map, with what a simulation does: much is put for the instant that was reached, and who
// was taken puts its own next time, near or far. What comes too late is due now.
TEST(EventQueue, GivesTheEarliestAndOfEqualTimesTheFirstPut) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    EventQueue queue;
    std::map<std::pair<Time, std::uint64_t>, std::uint64_t> expected;
    std::uint64_t put = 0;
    Time now{};
    const auto push = [&](Time at) {
      queue.push(at, What::agent, put);
      expected.emplace(std::pair{std::max(at, now), put}, put);
      ++put;
    };
    for (int step = 0; step < 2000; ++step) {
      for (std::int64_t more = random.between(std::int64_t{0}, std::int64_t{3}); more > 0; --more)
        push(now + Duration{random.oneIn(2)   ? 0
                            : random.oneIn(8) ? random.between(std::int64_t{0}, std::int64_t{1} << 50)
                                              : random.between(std::int64_t{-2}, std::int64_t{20})});
      ASSERT_EQ(queue.size(), expected.size());
      ASSERT_EQ(queue.empty(), expected.empty());
      if (expected.empty() || random.oneIn(4)) continue;
      const Due due = queue.pop();
      const auto first = expected.begin();
      ASSERT_EQ(due.at, first->first.first) << "seed " << seed << ", step " << step;
      ASSERT_EQ(due.id, first->second) << "seed " << seed << ", step " << step;
      expected.erase(first);
      now = due.at;
    }
  }
}

}  // namespace
}  // namespace buoy::sim
