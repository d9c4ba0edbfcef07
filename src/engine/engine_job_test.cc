#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// What becomes of a job: its stops, its failures, its limits.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using testing::poolOf;
using testing::runOne;
using testing::World;
using Kind = Directive::Kind;

TEST(Engine, AFencedAttemptIsFollowedByANewOne) {
  World world;
  const JobId job = runOne(world);
  world.report(m(1), MemberPhase::done, MemberResult{MemberResult::Kind::fenced, 0, ""});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(1)).epoch, 2u);
  EXPECT_EQ(world.job(job).failures, 0u);
}

TEST(Engine, FailuresAreRetriedOnTheSameMachine) {
  World world;
  const JobId job = runOne(world, {.retry_failures = 1});
  world.exited(m(1), 3);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(1)).epoch, 2u);
  EXPECT_EQ(world.job(job).failures, 1u);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  world.report(m(1), MemberPhase::running);
  world.exited(m(1), 4);
  EXPECT_EQ(world.job(job).phase, JobPhase::failed);
  EXPECT_EQ(world.job(job).exit_code, 4);
  EXPECT_THAT(world.job(job).reason, HasSubstr("code 4"));
}

TEST(Engine, SetupFailureIsAFailure) {
  World world;
  const JobId job = runOne(world);
  world.report(m(1), MemberPhase::done, MemberResult{MemberResult::Kind::setup_failed, 0, "no such input"});
  EXPECT_EQ(world.job(job).phase, JobPhase::failed);
  EXPECT_THAT(world.job(job).reason, HasSubstr("no such input"));
}

TEST(Engine, AnUnfitMachineIsReplacedWithoutAFailure) {
  World world;
  const JobId job = runOne(world);
  world.report(m(1), MemberPhase::done, MemberResult{MemberResult::Kind::machine_lost, 0, "disk full"});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
  world.pass(2s);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  EXPECT_EQ(world.job(job).failures, 0u);
}

TEST(Engine, CancelOfAQueuedJobIsImmediate) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  runOne(world);
  const JobId second = world.submit();
  EXPECT_EQ(world.job(second).phase, JobPhase::queued);
  EXPECT_THAT(world.job(second).reason, HasSubstr("full"));
  world.send(CancelJob{second});
  EXPECT_EQ(world.job(second).phase, JobPhase::cancelled);
  EXPECT_EQ(world.send(CancelJob{second}).code, ErrorCode::failed_precondition);
}

TEST(Engine, CancelOfARunningJobSavesFirst) {
  World world;
  const JobId job = runOne(world);
  world.send(CancelJob{job});
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::stop);
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::cancelled);
  EXPECT_EQ(world.directive(m(1)).grace, 30s);
  world.send(CancelJob{job});
  world.stopped(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::cancelled);
}

TEST(Engine, AJobThatDoesNotStopIsEndedWithItsMachine) {
  World world;
  const JobId job = runOne(world);
  world.send(CancelJob{job});
  world.pass(59s);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  world.pass(1s);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping) << "it may still run until the machine is gone";
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.job(job).phase, JobPhase::cancelled);
}

TEST(Engine, MaxRunCountsOverAttempts) {
  World world;
  world.settings.lease = 24h;
  const JobId job = runOne(world, {.max_run = 100s});
  world.pass(60s);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.pass(500s);
  world.up(m(2));
  world.report(m(2), MemberPhase::running);
  world.pass(39s);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.pass(1s);
  EXPECT_EQ(world.directive(m(2)).stop, StopReason::max_run);
  world.stopped(m(2));
  EXPECT_EQ(world.job(job).phase, JobPhase::timed_out);
  EXPECT_THAT(world.job(job).reason, HasSubstr("max_run"));
  EXPECT_EQ(world.job(job).ran, 100s);
}

TEST(Engine, MaxWaitEndsQueuedAndRunningJobs) {
  World world;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 1)});
  const JobId running = runOne(world, {.max_wait = 100s});
  const JobId waiting = world.submit({.max_wait = 50s});
  world.pass(50s);
  EXPECT_EQ(world.job(waiting).phase, JobPhase::timed_out);
  world.pass(50s);
  EXPECT_EQ(world.job(running).phase, JobPhase::stopping);
  world.stopped(m(1));
  EXPECT_EQ(world.job(running).phase, JobPhase::timed_out);
}

}  // namespace
}  // namespace buoy::engine
