#include "sim/search.h"

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace buoy::sim {
namespace {

// No job is lost or finishes twice, none runs twice at once, no machine is left behind or counted twice, the
// ledger is the cloud's bill, whatever is repeated, reordered, late or forgotten in a crash. `make
// simulate-faults` looks at more seeds.
TEST(FaultSearch, NoPromiseIsBrokenWhateverHappens) {
  const engine::testing::FirstFit policy;
  const SearchOptions options{.policy = &policy, .store = {}};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Scenario scenario = randomScenario(seed);
    const RunResult result = runScenario(scenario, options);
    if (result.problems.empty()) continue;
    ADD_FAILURE() << describeFailure(shrink(scenario, result.problems.front(), options));
    return;
  }
}

TEST(FaultSearch, TellsProblemsOfOneKindFromOthers) {
  EXPECT_EQ(kindOf("j7 is twice at once, on m12 and m3"), kindOf("j1 is twice at once, on m1 and m2"));
  EXPECT_NE(kindOf("j7 was lost"), kindOf("m7 was lost"));
}

}  // namespace
}  // namespace buoy::sim
