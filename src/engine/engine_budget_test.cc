#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/engine_test_support.h"

// Machines cost 0.30 USD an hour on spot and 1 on demand; the reserve is what 75 s on demand cost.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using testing::World;
using Kind = Directive::Kind;

constexpr Money kCent{10'000'000};

Money times(Money money, std::int64_t factor) {
  return {money.nano_usd * factor};
}

Money booked(const Job& job) {
  Money sum;
  if (job.ledger) {
    for (const Money each : job.ledger->cost) sum += each;
  }
  return sum;
}

JobId runWith(World& world, Money budget, std::int32_t machines = 1) {
  JobRequest request;
  request.name = "job";
  request.budget = budget;
  request.machines = machines;
  const JobId job = world.submit(request);
  for (std::int32_t i = 1; i <= machines; ++i) world.up(m(static_cast<std::uint64_t>(i)));
  for (std::int32_t i = 1; i <= machines; ++i)
    world.report(m(static_cast<std::uint64_t>(i)), MemberPhase::running);
  world.take();
  return job;
}

TEST(Budget, PausesWithACheckpointAndGoesOnWithMore) {
  World world;
  // 30 cents an hour, 2.1 in reserve: after 15.8 minutes nothing more is left of 10.
  const JobId job = runWith(world, times(kCent, 10));
  world.pass(15min);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  world.pass(1min);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::stop);
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::paused);
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping);
  EXPECT_THAT(world.job(job).reason, HasSubstr("its budget of $0.1000 leaves nothing for more"));
  const Time stopped = world.now;
  world.report(m(1), MemberPhase::saving);
  world.wait(25s);
  world.committed(m(1), 3, stopped);
  world.stopped(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::paused);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown) << "its machine is given back";
  EXPECT_LE(booked(world.job(job)), times(kCent, 10));
  world.pass(24h);
  EXPECT_EQ(world.job(job).phase, JobPhase::paused);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 0u);

  EXPECT_FALSE(world.send(ResumeJob{job, {}}).accepted) << "nothing is left";
  EXPECT_THAT(world.out.reply.message, HasSubstr("give at least $0."));
  EXPECT_FALSE(world.send(ResumeJob{job, kCent}).accepted) << "less than is spent";
  EXPECT_EQ(world.job(job).request.budget, times(kCent, 10)) << "a refusal changes nothing";
  EXPECT_TRUE(world.send(ResumeJob{job, times(kCent, 20)}).accepted);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  world.report(m(2), MemberPhase::running);
  world.wait(1min);
  world.exited(m(2));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
}

TEST(Budget, CountsEveryMachineOfAGang) {
  World world;
  const JobId job = runWith(world, times(kCent, 30), 3);
  // 90 cents an hour and a reserve of 6.25.
  world.pass(15min);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.pass(1min);
  for (const MachineId id : {m(1), m(2), m(3)}) EXPECT_EQ(world.directive(id).stop, StopReason::paused);
  // Nobody answers: they are ended by force, still within the budget.
  world.pass(2min);
  world.take();
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping);
  for (const MachineId id : {m(1), m(2), m(3)})
    world.send(MachineGone{id, GoneReason::terminated, "", {}, world.now - 50s});
  EXPECT_EQ(world.job(job).phase, JobPhase::paused);
  EXPECT_LE(booked(world.job(job)), times(kCent, 30));
}

TEST(Budget, AHigherPriceShortensIt) {
  World world;
  const JobId job = runWith(world, times(kCent, 10));
  world.pass(5min);
  world.send(PriceChanged{"p", "small", {900'000'000}, {}});
  world.pass(3min);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.pass(1min);
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping);
}

TEST(Budget, ThatPaysForNoStartStartsNothing) {
  World world;
  JobRequest request;
  request.name = "job";
  request.budget = kCent;
  const JobId job = world.submit(request);
  EXPECT_EQ(world.job(job).phase, JobPhase::paused);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 0u);
  EXPECT_TRUE(world.send(CancelJob{job}).accepted);
  EXPECT_EQ(world.job(job).phase, JobPhase::cancelled);
}

TEST(Budget, OfARunningJobCanBeChanged) {
  World world;
  const JobId job = runWith(world, times(kCent, 10));
  EXPECT_FALSE(world.send(ResumeJob{job, {}}).accepted) << "it is not paused";
  world.pass(10min);
  EXPECT_TRUE(world.send(ResumeJob{job, times(kCent, 100)}).accepted);
  world.pass(1h);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
}

TEST(Budget, ResumedWhileItStillSavesItGoesOn) {
  World world;
  const JobId job = runWith(world, times(kCent, 10));
  world.pass(16min);
  ASSERT_EQ(world.job(job).phase, JobPhase::stopping);
  EXPECT_TRUE(world.send(ResumeJob{job, times(kCent, 100)}).accepted);
  world.stopped(m(1));
  EXPECT_NE(world.job(job).phase, JobPhase::paused);
  EXPECT_TRUE(world.job(job).current);
}

TEST(Budget, PausedIsKeptOverARestart) {
  World world;
  const JobId job = runWith(world, times(kCent, 10));
  world.pass(16min);
  world.stopped(m(1));
  world.take();
  State again;
  again.restore(clone(world.job(job)));
  again.restore(*world.state.pool("p"));
  again.restore(*world.state.queue("default"));
  world.state = std::move(again);
  resume(world.state, world.now, world.settings, world.policy, world.out);
  EXPECT_EQ(world.job(job).phase, JobPhase::paused);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 0u);
}

}  // namespace
}  // namespace buoy::engine
