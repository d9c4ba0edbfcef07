#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// Jobs on several machines.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using ::testing::Not;
using testing::poolOf;
using testing::runGang;
using testing::runOne;
using testing::World;
using Kind = Directive::Kind;

TEST(Gang, StartsOnlyWhenItIsWhole) {
  World world;
  const JobId job = world.submit({.machines = 3});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 3u);
  world.up(m(1));
  world.up(m(2));
  EXPECT_TRUE(world.takeAll<DirectAgent>().empty() || world.directive(m(1)).kind == Kind::idle);
  EXPECT_EQ(world.directive(m(2)).kind, Kind::idle);
  world.up(m(3));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const Directive directive = world.directive(m(i));
    EXPECT_EQ(directive.kind, Kind::run);
    EXPECT_EQ(directive.rank, static_cast<std::int32_t>(i) - 1);
    EXPECT_EQ(directive.peers, (std::vector<std::string>{"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  }
  world.report(m(1), MemberPhase::running);
  world.report(m(2), MemberPhase::running);
  EXPECT_EQ(world.job(job).phase, JobPhase::starting);
  world.report(m(3), MemberPhase::running);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  for (std::uint64_t i = 1; i <= 3; ++i) world.exited(m(i));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
}

TEST(Gang, OnlyWhatWasLostIsReplaced) {
  World world;
  const JobId job = runGang(world);
  world.send(MachineGone{m(2), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  for (const MachineId survivor : {m(1), m(3)}) {
    EXPECT_EQ(world.directive(survivor).kind, Kind::stop);
    EXPECT_EQ(world.directive(survivor).stop, StopReason::peer_lost);
    world.stopped(survivor);
    EXPECT_EQ(world.directive(survivor).kind, Kind::idle);
  }
  world.up(m(4));
  for (const MachineId id : {m(1), m(4), m(3)}) {
    EXPECT_EQ(world.directive(id).kind, Kind::run);
    EXPECT_EQ(world.directive(id).epoch, 2u);
  }
  EXPECT_EQ(world.directive(m(4)).rank, 1);
  EXPECT_EQ(world.job(job).failures, 0u);
}

TEST(Gang, ANoticeToOneStopsAllAndReplacesOne) {
  World world;
  const JobId job = runGang(world);
  world.send(NoticeReceived{m(3), world.now + 30s});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::peer_lost);
  EXPECT_EQ(world.directive(m(3)).stop, StopReason::notice);
  world.up(m(4));
  world.stopped(m(1));
  world.exited(m(2), 1);
  EXPECT_EQ(world.job(job).failures, 0u);
  EXPECT_EQ(world.directive(m(4)).kind, Kind::idle);
  world.stopped(m(3));
  EXPECT_EQ(world.directive(m(3)).kind, Kind::shutdown);
  EXPECT_EQ(world.directive(m(4)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
}

TEST(Gang, ASurvivorThatDoesNotStopIsReplacedToo) {
  World world;
  world.settings.lease = 24h;
  const JobId job = runGang(world);
  world.send(MachineGone{m(2), GoneReason::reclaimed, ""});
  world.up(m(4));
  world.stopped(m(1));
  world.take();
  world.pass(60s);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.directive(m(3)).kind, Kind::shutdown);
  world.up(m(5));
  EXPECT_EQ(world.directive(m(5)).kind, Kind::idle) << "the old rank may still run";
  world.send(MachineGone{m(3), GoneReason::terminated, ""});
  for (const MachineId id : {m(1), m(4), m(5)}) EXPECT_EQ(world.directive(id).kind, Kind::run);
  EXPECT_EQ(world.job(job).attempts, 2u);
}

TEST(Gang, AFailureAfterAPeersLossIsNotTheJobs) {
  World world;
  const JobId job = runGang(world);
  world.exited(m(1), 1);
  EXPECT_EQ(world.takeAll<QueryMachine>().size(), 2u);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.send(MachineAlive{m(2)});
  world.send(MachineGone{m(3), GoneReason::vanished, ""});
  world.exited(m(2), 1);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  EXPECT_EQ(world.job(job).failures, 0u);
  world.up(m(4));
  EXPECT_EQ(world.directive(m(1)).epoch, 2u);
}

TEST(Gang, AFailureWithAllMachinesAliveIsTheJobs) {
  World world;
  const JobId job = runGang(world);
  world.exited(m(2), 7);
  world.send(MachineAlive{m(1)});
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.send(MachineAlive{m(3)});
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::peer_failed);
  world.stopped(m(1));
  world.stopped(m(3));
  EXPECT_EQ(world.job(job).phase, JobPhase::failed);
  EXPECT_EQ(world.job(job).exit_code, 7);
  EXPECT_THAT(world.job(job).reason, HasSubstr("rank 1"));
}

TEST(Gang, AFailureNobodyExplainsCountsAfterAWhile) {
  World world;
  const JobId job = runGang(world);
  for (std::uint64_t i = 1; i <= 3; ++i) world.exited(m(i), 9);
  EXPECT_EQ(world.job(job).phase, JobPhase::failed) << "each report showed that its machine lives";
  World other;
  const JobId silent = runGang(other);
  other.exited(m(1), 9);
  other.pass(other.settings.verify_timeout);
  EXPECT_EQ(other.directive(m(2)).stop, StopReason::peer_failed);
  other.stopped(m(2));
  other.stopped(m(3));
  EXPECT_EQ(other.job(silent).phase, JobPhase::failed);
}

TEST(Gang, ARankThatCannotBeHadSendsTheGangElsewhere) {
  World world;
  world.send(PutPool{poolOf("q")});
  const JobId job = world.submit({.pools = {"p", "q"}, .machines = 2, .spot = SpotPreference::only});
  world.up(m(1));
  world.send(LaunchFailed{m(2), LaunchError::capacity, ""});
  EXPECT_EQ(world.job(job).current->members[1].machine, MachineId{});
  world.pass(1s);
  EXPECT_EQ(world.job(job).current->members[1].machine, m(3)) << "tried again in the same pool";
  world.send(LaunchFailed{m(3), LaunchError::capacity, ""});
  std::uint64_t last = 3;
  for (int i = 0; i < 30 && world.job(job).current->members[0].machine == m(1); ++i) {
    world.send(LeaseRenewed{m(1)});
    world.pass(5s);
    const MachineId tried = world.job(job).current->members[1].machine;
    if (tried.value > last && world.state.machine(tried)->pool == "p") {
      last = tried.value;
      world.send(LaunchFailed{tried, LaunchError::capacity, ""});
    }
  }
  for (const Member& member : world.job(job).current->members) {
    EXPECT_EQ(world.state.machine(member.machine)->pool, "q");
  }
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
  EXPECT_EQ(world.job(job).attempts, 1u);
}

TEST(Gang, IdleMachinesOfThePoolAreTakenFirst) {
  World world;
  world.settings.idle_timeout = 1h;
  world.settings.lease = 24h;
  runOne(world);
  world.exited(m(1));
  world.take();
  world.submit({.machines = 2});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
}

// ---- main_decides

TEST(Main, ItsEndIsTheEndOfAll) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  world.exited(m(1));
  for (const MachineId other : {m(2), m(3)}) {
    EXPECT_EQ(world.directive(other).kind, Kind::stop);
    EXPECT_EQ(world.directive(other).stop, StopReason::main_ended);
  }
  EXPECT_FALSE(isTerminal(world.job(job).phase)) << "the others still run";
  world.stopped(m(2));
  world.exited(m(3), 1);
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
  EXPECT_EQ(world.job(job).exit_code, 0);
}

TEST(Main, TheEndOfAnotherCountsForNothing) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  world.exited(m(2), 7);
  world.exited(m(3));
  EXPECT_TRUE(world.takeAll<QueryMachine>().empty());
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  world.exited(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
}

TEST(Main, ItsFailureIsTheJobs) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  world.exited(m(2), 3);
  world.exited(m(1), 9);
  EXPECT_EQ(world.directive(m(3)).kind, Kind::run) << "first it is asked whether its machine lives";
  world.send(MachineAlive{m(2)});
  world.send(MachineAlive{m(3)});
  EXPECT_EQ(world.directive(m(3)).stop, StopReason::peer_failed);
  world.stopped(m(3));
  EXPECT_EQ(world.job(job).phase, JobPhase::failed);
  EXPECT_EQ(world.job(job).exit_code, 9) << "not that of the other";
}

TEST(Main, IsInterruptedByTheLossOfAnother) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  world.send(MachineGone{m(3), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::peer_lost);
  world.stopped(m(2));
  world.stopped(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  world.up(m(4));
  EXPECT_EQ(world.directive(m(1)).epoch, 2u);
}

// What it had already come to when another one was lost is not taken from it.
TEST(Main, ThatHasEndedByItselfIsNotInterrupted) {
  for (int what = 0; what < 3; ++what) {
    World world;
    const JobId job = runGang(world, {.main_decides = true});
    if (what < 2) world.report(m(1), MemberPhase::saving);
    if (what == 0) {
      world.send(NoticeReceived{m(3), world.now + 30s});
    } else {
      world.send(MachineGone{m(3), GoneReason::reclaimed, ""});
    }
    EXPECT_EQ(world.directive(m(1)).stop, StopReason::peer_lost);
    world.exited(m(1));
    EXPECT_THAT(world.job(job).reason, Not(HasSubstr("reclaim"))) << what;
    EXPECT_FALSE(world.job(job).next) << what;
    EXPECT_EQ(world.job(job).attempts, 1u) << what;
    world.stopped(m(2));
    if (what == 0) world.stopped(m(3));
    EXPECT_EQ(world.job(job).phase, JobPhase::succeeded) << what;
    EXPECT_EQ(world.job(job).reason, "finished with exit code 0");
    ASSERT_EQ(world.job(job).past.size(), 1u);
    EXPECT_FALSE(world.job(job).past[0].interrupted) << what;
    EXPECT_EQ(world.job(job).past[0].exit_code, 0);
  }
}

TEST(Main, ThatFailsWhileAnotherIsLostIsInterrupted) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  world.report(m(1), MemberPhase::saving);
  world.send(MachineGone{m(3), GoneReason::reclaimed, ""});
  world.exited(m(1), 1);
  world.stopped(m(2));
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
}

TEST(Main, ItsEndIsToldOnce) {
  World world;
  const JobId job = runGang(world, {.main_decides = true});
  for (const MachineId id : {m(1), m(2), m(3)}) world.exited(id);
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
  world.take();
  EXPECT_EQ(std::count_if(world.records.begin(), world.records.end(),
                          [](const Record& record) { return record.kind == "main_ended"; }),
            1);
}

TEST(Main, NothingAfterItsEndTakesItBack) {
  for (int what = 0; what < 5; ++what) {
    World world;
    world.settings.lease = 24h;
    const JobId job = runGang(world, {.main_decides = true});
    world.exited(m(1));
    world.take();
    switch (what) {
      case 0:
        world.send(MachineGone{m(2), GoneReason::reclaimed, ""});
        break;
      case 1:
        world.send(NoticeReceived{m(2), world.now + 30s});
        world.stopped(m(2));
        break;
      case 2:
        world.report(m(2), MemberPhase::done, MemberResult{MemberResult::Kind::machine_lost, 0, "disk full"});
        break;
      case 3:  // its agent does not answer: its machine is ended
        world.pass(60s);
        world.send(MachineGone{m(2), GoneReason::terminated, ""});
        break;
      default:
        world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
        world.stopped(m(2));
        break;
    }
    EXPECT_TRUE(world.takeAll<LaunchMachine>().empty()) << what;
    world.stopped(m(3));
    EXPECT_EQ(world.job(job).phase, JobPhase::succeeded) << what << ": " << world.job(job).reason;
  }
}

TEST(Main, WhatCannotBeSetUpFailsTheJob) {
  World world;
  const JobId job = world.submit({.machines = 2, .main_decides = true});
  world.up(m(1));
  world.up(m(2));
  world.report(m(1), MemberPhase::running);
  world.report(m(2), MemberPhase::done, MemberResult{MemberResult::Kind::setup_failed, 0, "no such image"});
  world.send(MachineAlive{m(1)});
  world.stopped(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::failed);
  EXPECT_THAT(world.job(job).reason, HasSubstr("no such image"));
}

}  // namespace
}  // namespace buoy::engine
