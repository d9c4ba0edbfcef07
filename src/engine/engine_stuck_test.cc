#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_test_support.h"

// What a queue does with a job that nothing will come for, and what a pool keeps although nobody needs it.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::World;

Queue impatient(StuckFor cause, Duration after) {
  return {.name = "q", .pools = {"p"}, .stuck_limits = {{cause, after, "stuck"}}};
}

// Time passes while every launch fails.
void passWithoutCapacity(World& world, Duration by) {
  const Time end = world.now + by;
  while (world.now < end) {
    for (const LaunchMachine& launch : world.takeAll<LaunchMachine>())
      world.send(LaunchFailed{launch.machine, LaunchError::capacity, "none left"});
    world.pass(1s);
  }
}

TEST(EngineStuck, AJobThatNoMachineCanBeHadForIsCancelledInTime) {
  World world;
  world.send(PutQueue{impatient(StuckFor::no_capacity, 600s)});
  const JobId job = world.submit({.queue = "q"});
  const JobId elsewhere = world.submit();
  passWithoutCapacity(world, 590s);
  ASSERT_TRUE(world.state.job(job));
  passWithoutCapacity(world, 20s);
  EXPECT_EQ(world.state.job(job), nullptr);
  EXPECT_TRUE(world.state.job(elsewhere)) << "its queue has no such limit";
  const auto finished = std::find_if(world.records.begin(), world.records.end(), [&](const Record& record) {
    return record.kind == "finished" && record.job == job;
  });
  ASSERT_NE(finished, world.records.end());
  EXPECT_EQ(finished->detail, "cancelled: stuck");
}

TEST(EngineStuck, AJobThatWaitsForItsTurnIsNot) {
  World world;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 1)});
  world.send(PutQueue{impatient(StuckFor::no_capacity, 600s)});
  world.submit({.queue = "q"});
  world.up(m(1));
  world.report(m(1), MemberPhase::running);
  const JobId waits = world.submit({.queue = "q"});
  world.pass(5h);
  EXPECT_EQ(world.job(waits).phase, JobPhase::queued);
  world.exited(m(1));
  EXPECT_EQ(world.job(waits).phase, JobPhase::starting);
}

TEST(EngineStuck, WhatTheEnvironmentCannotHoldAnyMore) {
  World world;
  world.send(PutPool{poolOf("p", 2)});
  Queue queue = impatient(StuckFor::too_large, 600s);
  queue.stuck_limits.push_back({StuckFor::no_type, 700s, "no type"});
  world.send(PutQueue{queue});
  const JobId gang = world.submit({.queue = "q", .machines = 3});
  const JobId giant =
      world.submit({.queue = "q", .resources = {.milli_cpus = 99'000, .gpus = 0, .memory = {}}});
  world.pass(599s);
  EXPECT_EQ(world.job(gang).phase, JobPhase::queued);
  world.pass(1s);
  EXPECT_EQ(world.job(gang).reason, "stuck");
  EXPECT_EQ(world.job(giant).phase, JobPhase::queued);
  world.pass(100s);
  EXPECT_EQ(world.job(giant).reason, "no type");
}

TEST(EngineStuck, OfAnArrayWhatRunsGoesOn) {
  World world;
  world.settings.lease = 24h;
  world.send(PutQueue{impatient(StuckFor::no_type, 600s)});
  Pool pool = poolOf("p", 2);
  world.send(PutPool{pool});
  const JobId array =
      world.submit({.queue = "q", .resources = {.milli_cpus = 2000, .gpus = 0, .memory = {}}, .array = 4});
  for (const MachineId machine : {m(1), m(2)}) {
    world.up(machine);
    world.report(machine, MemberPhase::running);
  }
  pool.types.resize(1);
  world.send(PutPool{pool});
  world.pass(1h);
  EXPECT_EQ(world.job(array).array->failed, 0u) << "nobody asks for machines of a pool that is full";
  world.exited(m(2));
  world.send(MachineGone{m(2), GoneReason::terminated, ""});
  world.pass(601s);
  EXPECT_EQ(world.job(array).array->failed, 2u);
  EXPECT_EQ(world.job(taskOf(array, 0)).phase, JobPhase::running);
  world.exited(m(1));
  EXPECT_EQ(world.job(array).array->succeeded, 2u);
  EXPECT_EQ(world.job(array).phase, JobPhase::failed);
}

// ---- machines that are kept in any case

TEST(EngineLeast, APoolKeepsItsLeastWhetherOrNotAnybodyNeedsIt) {
  World world;
  world.settings.lease = 240h;
  Pool pool = poolOf("p", 4);
  pool.min_machines = 2;
  world.send(PutPool{pool});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 2u);
  world.up(m(1));
  world.up(m(2));
  EXPECT_EQ(world.state.machine(m(1))->type, "small");
  world.pass(5h);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  const JobId job = world.submit();
  EXPECT_EQ(world.state.machine(m(1))->job, job) << "jobs have them first";
  world.report(m(1), MemberPhase::running);
  for (int i = 0; i < 2; ++i) world.submit();
  world.up(m(3));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    world.report(m(i), MemberPhase::running);
    world.exited(m(i));
  }
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u) << "what is more than the least goes";
  world.send(MachineGone{m(2), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u) << "and what is taken comes back";
  pool.min_machines = 0;
  world.send(PutPool{pool});
  world.pass(1s);
  std::int32_t left = 0;
  world.state.forEachMachine([&](const Machine& each) { left += each.phase == MachinePhase::idle ? 1 : 0; });
  EXPECT_EQ(left, 0);
}

TEST(EngineLeast, FailedLaunchesAreTriedAgainAndAPauseEndsThem) {
  World world;
  Pool pool = poolOf("p", 4);
  pool.on_demand = false;
  pool.min_machines = 1;
  world.send(PutPool{pool});
  passWithoutCapacity(world, 10s);
  EXPECT_GE(world.state.pool("p")->spot_failures, 3u);
  pool.paused = true;
  world.send(PutPool{pool});
  world.take();
  world.pass(1h);
  EXPECT_TRUE(world.takeAll<LaunchMachine>().empty());
}

TEST(EngineLeast, TheTimeThatAnIdleMachineIsKeptCountsForTheOthers) {
  World world;
  world.settings.lease = 240h;
  Pool pool = poolOf("p", 4);
  pool.min_machines = 1;
  pool.idle_timeout = 5min;
  world.send(PutPool{pool});
  world.up(m(1));
  world.submit();
  world.submit();
  world.up(m(2));
  for (std::uint64_t i = 1; i <= 2; ++i) {
    world.report(m(i), MemberPhase::running);
    world.exited(m(i));
  }
  world.take();
  world.pass(4min);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  world.pass(1min);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.pass(5h);
  EXPECT_TRUE(world.takeAll<LaunchMachine>().empty());
}

}  // namespace
}  // namespace buoy::engine
