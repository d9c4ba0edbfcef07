#include <gtest/gtest.h>

#include <deque>

#include "engine/engine_test_support.h"

// Many jobs to their end: arrays and chains as people submit them.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::World;

// Machines that run whatever they are given; `exit` says with which code.
template <class Exit>
void runAll(World& world, std::uint64_t machines, Exit exit) {
  for (std::uint64_t i = 1; i <= machines; ++i) {
    if (world.state.machine(m(i))) world.up(m(i));
  }
  bool busy = true;
  while (busy) {
    busy = false;
    for (std::uint64_t i = 1; i <= machines; ++i) {
      const Machine* const machine = world.state.machine(m(i));
      if (!machine || !machine->job) continue;
      busy = true;
      const std::int32_t code = exit(world.job(machine->job));
      world.report(m(i), MemberPhase::running);
      world.exited(m(i), code);
      world.wait(1ms);
      if (world.out.changes.records.size() < 1'000) continue;
      forget(world.state, world.out.changes);
      world.out.clear();
    }
  }
}

TEST(EngineMany, AnArrayOfTenThousandWithFailuresAndRetriesEnds) {
  World world;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 64)});
  const JobId array = world.submit({.retry_failures = 1, .array = 10'000});
  std::uint64_t runs = 0, failures = 0;
  std::optional<ArrayState> last;
  runAll(world, 64, [&](const Job& task) {
    ++runs;
    // One in a hundred fails at its first attempt, and of these one in ten for good.
    const bool fails = task.index % 100 == 7 && (task.attempts == 1 || task.index % 1000 == 7);
    failures += fails ? 1 : 0;
    last = *world.job(array).array;
    return fails ? 1 : 0;
  });
  EXPECT_EQ(runs, 10'100u) << "every task once, and those that failed a second time";
  EXPECT_EQ(failures, 110u);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->begun, 10'000u);
  EXPECT_EQ(last->succeeded + last->failed, 9'999u) << "when the last one ended";
  EXPECT_EQ(last->failed, 10u);
  const Job* const ended = world.state.job(array);
  EXPECT_TRUE(!ended || ended->phase == JobPhase::failed);
  std::size_t unfinished = 0;
  world.state.forEachJob([&](const Job& job) { unfinished += isTerminal(job.phase) ? 0 : 1; });
  EXPECT_EQ(unfinished, 0u);
}

TEST(EngineMany, AChainOfAThousandRunsInItsOrder) {
  World world;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 8)});
  JobId last{};
  std::deque<JobId> chain;
  for (int i = 0; i < 1'000; ++i) {
    JobRequest request;
    if (last) request.depends_on = {{last, false}};
    last = world.submit(std::move(request));
    chain.push_back(last);
  }
  runAll(world, 8, [&](const Job& job) {
    EXPECT_EQ(job.id, chain.front());
    if (!chain.empty()) chain.pop_front();
    return 0;
  });
  EXPECT_TRUE(chain.empty());
}

TEST(EngineMany, AChainThatBreaksFailsToItsEnd) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  JobId last{};
  for (int i = 0; i < 1'000; ++i) {
    JobRequest request;
    if (last) request.depends_on = {{last, false}};
    last = world.submit(std::move(request));
  }
  world.up(m(1));
  world.report(m(1), MemberPhase::running);
  world.exited(m(1), 3);
  EXPECT_EQ(world.job(last).phase, JobPhase::failed);
  EXPECT_TRUE(world.job(last).reason.ends_with("which it depends on, has not succeeded"));
}

}  // namespace
}  // namespace buoy::engine
