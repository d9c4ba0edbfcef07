#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// Machines that are taken away, with notice and without.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::runOne;
using testing::World;
using Kind = Directive::Kind;

TEST(Engine, NoticeLaunchesTheReplacementWhileTheOldAttemptSaves) {
  World world;
  const JobId job = runOne(world);
  world.send(NoticeReceived{m(1), world.now + 30s});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::stop);
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::notice);
  EXPECT_EQ(world.directive(m(1)).grace, 30s);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::idle) << "the old attempt still saves";
  world.report(m(1), MemberPhase::saving);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  world.exited(m(1), 0);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(2)).epoch, 2u);
  EXPECT_EQ(world.job(job).attempts, 2u);
  EXPECT_EQ(world.job(job).ledger->reclaims_noticed, 1u);
  EXPECT_EQ(world.job(job).failures, 0u);
}

TEST(Engine, ARepeatedNoticeIsNoNews) {
  World world;
  runOne(world);
  const Time deadline = world.now + 30s;
  world.send(NoticeReceived{m(1), deadline});
  world.take();
  world.send(NoticeReceived{m(1), deadline + 300ms});
  EXPECT_TRUE(world.out.changes.empty());
  EXPECT_TRUE(world.take().empty());
  world.send(NoticeReceived{m(1), deadline - 10s});
  EXPECT_EQ(world.takeAll<DirectAgent>().size(), 1u);
  EXPECT_EQ(world.directive(m(1)).grace, 20s);
}

TEST(Engine, LossWithoutNoticeStartsAgainElsewhere) {
  World world;
  const JobId job = runOne(world);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).epoch, 2u);
  world.report(m(2), MemberPhase::running);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  EXPECT_EQ(world.job(job).ledger->reclaims_unnoticed, 1u);
}

TEST(Engine, NoticeOnAFullPoolWaitsForTheOldMachine) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  const JobId job = runOne(world);
  world.send(NoticeReceived{m(1), world.now + 30s});
  EXPECT_TRUE(world.takeAll<LaunchMachine>().empty());
  world.stopped(m(1));
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  EXPECT_EQ(world.job(job).attempts, 2u);
}

TEST(Engine, ANoticeOutlivesTheJobThatEndsWell) {
  World world;
  const JobId job = runOne(world);
  world.report(m(1), MemberPhase::saving);
  world.exited(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
  world.send(NoticeReceived{m(1), world.now + 30s});
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.take();
  EXPECT_EQ(world.state.machineCount(), 0u);
}

TEST(Engine, ANoticeWhileTheMachineWaitsForItsGangReplacesIt) {
  World world;
  const JobId job = world.submit({.machines = 2});
  world.up(m(1));
  world.send(NoticeReceived{m(1), world.now + 30s});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
  EXPECT_EQ(world.job(job).current->members[0].machine, m(3));
  world.up(m(2));
  world.up(m(3));
  EXPECT_EQ(world.directive(m(3)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(3)).epoch, 1u);
}

TEST(Engine, ASecondNoticeHitsTheReplacement) {
  World world;
  const JobId job = runOne(world);
  world.send(NoticeReceived{m(1), world.now + 30s});
  world.up(m(2));
  world.send(NoticeReceived{m(2), world.now + 30s});
  world.stopped(m(1));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::shutdown);
  world.up(m(3));
  EXPECT_EQ(world.directive(m(3)).kind, Kind::run);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
}

TEST(Engine, AnInjectedReclaimIsPassedOn) {
  World world;
  world.submit();
  EXPECT_EQ(world.send(ReclaimMachine{m(1), 30s}).code, ErrorCode::failed_precondition);
  world.up(m(1));
  world.take();
  EXPECT_TRUE(world.send(ReclaimMachine{m(1), 30s}).accepted);
  const auto reclaims = world.takeAll<RequestReclaim>();
  ASSERT_EQ(reclaims.size(), 1u);
  EXPECT_EQ(reclaims[0].notice, 30s);
}

// ---- gangs

TEST(Engine, UnreachableIsNotDead) {
  World world;
  const JobId job = runOne(world);
  world.pass(15s);
  EXPECT_TRUE(world.state.machine(m(1))->unreachable);
  EXPECT_EQ(world.takeAll<QueryMachine>().size(), 1u);
  for (int i = 0; i < 20; ++i) {
    world.pass(world.settings.query_every);
    EXPECT_EQ(world.takeAll<QueryMachine>().size(), 1u);
    world.send(MachineAlive{m(1)});
  }
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  EXPECT_EQ(world.job(job).attempts, 1u);
  world.send(LeaseRenewed{m(1)});
  EXPECT_FALSE(world.state.machine(m(1))->unreachable);
  EXPECT_TRUE(world.hasRecord("unreachable"));
  EXPECT_TRUE(world.hasRecord("reachable"));
  world.exited(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
}

}  // namespace
}  // namespace buoy::engine
