#include <gtest/gtest.h>
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "engine/engine_test_support.h"

// What the engine costs: memory of queued jobs (asserted where malloc is the real one), and events a second
// (printed only: a test never asserts a time).
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::poolOf;
using testing::World;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr int kJobs = kSanitized ? 5'000 : 100'000;

JobRequest requestOf(int number) {
  JobRequest request;
  request.name = "train-resnet-" + std::to_string(number);
  request.pools = {"p"};
  request.priority = number % 3;
  request.max_wait = 24h;
  return request;
}

std::size_t allocated() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

template <class Work>
void measure(const char* what, int events, Work work) {
  const std::clock_t begin = std::clock();  // processor time: others may be using the machine
  work();
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::printf("%-42s %10.0f events a second of processor time\n", what, events / took);
}

TEST(EngineScale, AQueuedJobTakesLittleMemory) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  world.submit(requestOf(0));
  world.take();
  world.records = {};
  const std::size_t before = allocated();
  for (int i = 0; i < kJobs; ++i) {
    step(world.state, SubmitJob{requestOf(i)}, world.now, world.settings, world.policy, world.out);
    forget(world.state, world.out.changes);
    world.out.clear();
  }
  const auto each = static_cast<double>(allocated() - before) / kJobs;
  std::printf("%d queued jobs: %.0f bytes each\n", kJobs, each);
  if (kSanitized) GTEST_SKIP() << "a sanitizer's malloc does not count like the real one";
  EXPECT_GT(each, 200);
  EXPECT_LE(each, 1229);
}

TEST(EngineScale, EventsASecond) {
  World world;
  world.send(PutPool{poolOf("p", 100)});
  const auto feed = [&](const Event& event) {
    step(world.state, event, world.now, world.settings, world.policy, world.out);
    if (world.out.changes.records.size() < 100) return;
    forget(world.state, world.out.changes);
    world.out.clear();
  };
  measure("submits", kJobs, [&] {
    for (int i = 0; i < kJobs; ++i) feed(SubmitJob{requestOf(i)});
  });
  for (std::uint64_t i = 1; i <= 100; ++i) feed(LaunchSucceeded{MachineId{i}, "ref", "addr"});
  for (std::uint64_t i = 1; i <= 100; ++i) feed(AgentConnected{MachineId{i}, ""});
  const int beats = 10 * kJobs;
  measure("heartbeats, with a tick each", 2 * beats, [&] {
    for (int i = 0; i < beats; ++i) {
      world.now += 1ms;
      feed(LeaseRenewed{MachineId{static_cast<std::uint64_t>(i % 100) + 1}});
      feed(Tick{});
    }
  });
  // Half of the jobs pass over 100 machines, four reports each, the machine going to the next job at once.
  const int jobs = kJobs / 2;
  measure("reports, with placement on idle machines", 4 * jobs, [&] {
    for (int i = 0; i < jobs; ++i) {
      const MachineId id{static_cast<std::uint64_t>(i % 100) + 1};
      const Machine& machine = *world.state.machine(id);
      AgentReport report{id, machine.job, machine.epoch, {{MemberPhase::preparing, world.now}},
                         0,  {},          std::nullopt};
      feed(report);
      report.phases.push_back({MemberPhase::running, world.now});
      feed(report);
      world.now += 10ms;
      report.committed_version = 1;
      report.committed_covers = world.now;
      feed(report);
      report.phases.push_back({MemberPhase::done, world.now});
      report.result = MemberResult{};
      feed(report);
    }
  });
  EXPECT_EQ(world.state.machineCount(), 100u);
}

// The cost of a step must not grow with the jobs that wait: every bucket that cannot be served is asked once.
TEST(EngineScale, ManyShapesWaitWithoutBeingAskedAgain) {
  struct Counting final : PlacementPolicy {
    testing::FirstFit inner;
    mutable int asked = 0;
    Placement place(const PlacementRequest& request, std::span<const PoolView> pools,
                    Time now) const override {
      ++asked;
      return inner.place(request, pools, now);
    }
  } policy;
  World world;
  world.send(PutPool{poolOf("p", 1)});
  Outcome out;
  const auto feed = [&](const Event& event) {
    step(world.state, event, world.now, world.settings, policy, out);
    forget(world.state, out.changes);
    out.clear();
  };
  for (int i = 0; i < 1000; ++i) {
    JobRequest request = requestOf(i);
    request.resources.milli_cpus = 1 + i % 500;
    feed(SubmitJob{request});
  }
  feed(LaunchSucceeded{MachineId{1}, "ref", "addr"});
  feed(AgentConnected{MachineId{1}, ""});
  const int before = policy.asked;
  EXPECT_LE(before, 501 + 3);
  for (int i = 0; i < 100; ++i) {
    const Machine& machine = *world.state.machine(MachineId{1});
    feed(AgentReport{
        machine.id, machine.job, machine.epoch, {{MemberPhase::done, world.now}}, 0, {}, MemberResult{}});
  }
  EXPECT_LE(policy.asked - before, 300) << "one success and the new head of its bucket, each time";
}

}  // namespace
}  // namespace buoy::engine
