#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::poolOf;
using testing::World;
using Kind = Directive::Kind;

constexpr MachineId m(std::uint64_t id) {
  return MachineId{id};
}

// A job that runs on m1, in attempt 1.
JobId runOne(World& world, JobRequest request = {}) {
  const JobId job = world.submit(std::move(request));
  world.up(m(1));
  world.report(m(1), MemberPhase::running);
  world.take();
  return job;
}

// A gang of three that runs on m1, m2 and m3.
JobId runGang(World& world, JobRequest request = {}) {
  request.machines = 3;
  const JobId job = world.submit(std::move(request));
  for (const MachineId id : {m(1), m(2), m(3)}) world.up(id);
  for (const MachineId id : {m(1), m(2), m(3)}) world.report(id, MemberPhase::running);
  world.take();
  return job;
}

TEST(Engine, RunsAJobFromSubmitToRelease) {
  World world;
  const JobId job = world.submit();
  EXPECT_EQ(job, JobId{1});
  ASSERT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.job(job).phase, JobPhase::starting);

  world.send(LaunchSucceeded{m(1), "ref", "10.0.0.1"});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::idle);
  world.send(AgentConnected{m(1), "10.0.0.9"});
  const auto directed = world.takeAll<DirectAgent>();
  ASSERT_EQ(directed.size(), 1u);
  EXPECT_EQ(directed[0].directive.kind, Kind::run);
  EXPECT_EQ(directed[0].directive.epoch, 1u);
  EXPECT_EQ(directed[0].directive.peers, std::vector<std::string>{"10.0.0.9"});

  world.report(m(1), MemberPhase::preparing);
  world.report(m(1), MemberPhase::running);
  EXPECT_EQ(world.job(job).phase, JobPhase::running);
  world.wait(60s);
  world.report(m(1), MemberPhase::saving);
  EXPECT_EQ(world.job(job).phase, JobPhase::stopping);
  world.exited(m(1));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
  EXPECT_EQ(world.job(job).exit_code, 0);
  EXPECT_EQ(world.job(job).ran, 60s);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  EXPECT_EQ(world.state.jobCount(), 0u);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  world.take();
  EXPECT_EQ(world.state.machineCount(), 0u);
  EXPECT_EQ(world.state.nextDeadline(), std::nullopt);
}

TEST(Engine, RefusesWhatCannotBe) {
  World world;
  EXPECT_EQ(world.send(SubmitJob{{.queue = "nope"}}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(SubmitJob{{.pools = {"nope"}}}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(SubmitJob{{.machines = 0}}).code, ErrorCode::invalid_argument);
  EXPECT_EQ(world.send(CancelJob{JobId{9}}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(CloseMachine{m(9)}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(ReclaimMachine{m(9)}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(OpenMachine{.pool = "nope"}).code, ErrorCode::not_found);
  EXPECT_EQ(world.send(PutQueue{{.name = "q", .pools = {"nope"}}}).code, ErrorCode::not_found);
  EXPECT_EQ(world.state.jobCount(), 0u);
}

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

TEST(Engine, ReportsOfAnOldEpochAreRefused) {
  World world;
  const JobId job = runOne(world);
  world.send(MachineGone{m(1), GoneReason::vanished, ""});
  world.take();
  EXPECT_EQ(world.reportAs(m(1), job, 1, MemberPhase::done, MemberResult{}).code, ErrorCode::not_found);
  world.up(m(2));
  const Reply& reply = world.reportAs(m(2), job, 1, MemberPhase::done, MemberResult{});
  EXPECT_FALSE(reply.accepted);
  EXPECT_EQ(reply.code, ErrorCode::failed_precondition);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
  world.send(AgentConnected{m(1), ""});
  const auto directed = world.takeAll<DirectAgent>();
  EXPECT_EQ(directed.back().machine, m(1));
  EXPECT_EQ(directed.back().directive.kind, Kind::shutdown);
}

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

TEST(Engine, LeaseRenewalsKeepQuiet) {
  World world;
  runOne(world);
  for (int i = 0; i < 100; ++i) {
    world.wait(5s);
    world.send(LeaseRenewed{m(1)});
    world.send(Tick{});
  }
  EXPECT_TRUE(world.out.changes.empty());
  EXPECT_TRUE(world.take().empty());
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

TEST(Engine, QueuesAreStrictAndPriorityGoesBeforeAge) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  world.send(PutQueue{{.name = "urgent", .priority = 10}});
  std::vector<JobId> order;
  const JobId first = runOne(world);
  const JobId low = world.submit({.priority = -1});
  const JobId normal = world.submit();
  const JobId high = world.submit({.priority = 5});
  const JobId urgent = world.submit({.queue = "urgent", .priority = -100});
  world.exited(m(1));
  EXPECT_EQ(world.job(first).phase, JobPhase::succeeded);
  // With no idle time the machine still goes to whoever waits: in the same step.
  for (int i = 0; i < 4; ++i) {
    const JobId owner = world.state.machine(m(1))->job;
    order.push_back(owner);
    EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
    world.report(m(1), MemberPhase::running);
    world.exited(m(1));
  }
  EXPECT_EQ(order, (std::vector<JobId>{urgent, high, normal, low}));
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
}

TEST(Engine, OneShapeDoesNotBlockAnother) {
  World world;
  world.send(PutPool{poolOf("p", 2)});
  runOne(world);
  const JobId gang = world.submit({.machines = 2});
  const JobId small = world.submit();
  EXPECT_EQ(world.job(gang).phase, JobPhase::queued);
  EXPECT_EQ(world.job(small).phase, JobPhase::starting);
}

TEST(Engine, APausedQueueStartsNothingNew) {
  World world;
  world.send(PutQueue{{.name = "default", .paused = true}});
  const JobId job = world.submit();
  EXPECT_EQ(world.job(job).phase, JobPhase::queued);
  world.send(PutQueue{{.name = "default"}});
  EXPECT_EQ(world.job(job).phase, JobPhase::starting);
  world.send(PutQueue{{.name = "default", .paused = true}});
  world.up(m(1));
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.state.machine(m(2))->job, job) << "what has begun goes on";
}

TEST(Engine, ALaunchFailureBacksOffAndGoesToTheNextPool) {
  World world;
  world.send(PutPool{poolOf("q")});
  const JobId job = world.submit({.pools = {"p", "q"}, .spot = SpotPreference::only});
  world.send(LaunchFailed{m(1), LaunchError::capacity, "none left"});
  EXPECT_EQ(world.state.machine(m(2))->pool, "q");
  world.send(LaunchFailed{m(2), LaunchError::capacity, "none left"});
  EXPECT_EQ(world.job(job).phase, JobPhase::queued);
  EXPECT_EQ(world.job(job).attempts, 0u);
  EXPECT_EQ(world.state.pool("p")->spot_failures, 1u);
  world.take();
  world.pass(1s);
  EXPECT_EQ(world.state.machine(m(3))->pool, "p");
  world.send(LaunchFailed{m(3), LaunchError::capacity, "none left"});
  EXPECT_EQ(world.state.pool("p")->spot_failures, 2u);
  EXPECT_EQ(world.state.pool("p")->spot_retry_at, world.now + 2s);
  world.up(m(4));
  EXPECT_EQ(world.state.pool("q")->spot_failures, 0u);
  EXPECT_EQ(world.directive(m(4)).kind, Kind::run);
}

TEST(Engine, WithoutSpotCapacityOnDemandIsTaken) {
  World world;
  world.submit();
  world.send(LaunchFailed{m(1), LaunchError::capacity, ""});
  EXPECT_EQ(world.state.machine(m(2))->market, Market::on_demand);
}

TEST(Engine, AfterFailuresOneLaunchIsTriedFirst) {
  World world;
  for (int i = 0; i < 3; ++i) world.submit();
  for (std::uint64_t i = 1; i <= 3; ++i) world.send(LaunchFailed{m(i), LaunchError::quota, ""});
  EXPECT_EQ(world.state.pool("p")->consecutive_failures, 1u);
  world.take();
  world.pass(1s);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  world.send(LaunchSucceeded{m(4), "", ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 2u);
}

TEST(Engine, AMachineThatNeverConnectsIsGivenUp) {
  World world;
  const JobId job = world.submit();
  world.send(LaunchSucceeded{m(1), "", ""});
  world.take();
  world.pass(world.settings.boot_timeout);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  EXPECT_EQ(world.job(job).phase, JobPhase::queued);
  world.pass(1s);
  EXPECT_EQ(world.job(job).phase, JobPhase::starting);
  world.send(AgentConnected{m(1), ""});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::shutdown);
}

TEST(Engine, NothingIsLeftOfALaunchThatWasGivenUp) {
  World world;
  const JobId job = world.submit();
  world.send(CancelJob{job});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.send(MachineGone{m(1), GoneReason::terminated, "never was"});
  world.take();
  world.send(LaunchSucceeded{m(1), "late", ""});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.send(MachineAlive{m(77)});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
}

TEST(Engine, AMachineThatIsGivenUpWhileItLaunchesIsBilledAllTheSame) {
  World world;
  world.send(CancelJob{world.submit()});
  world.wait(1s);
  world.send(LaunchSucceeded{m(1), "late", ""});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 2u) << "the first may have come before the launch";
  world.wait(3s);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.total(Use::waiting), 3s);
  ASSERT_EQ(world.spans.size(), 1u);
  EXPECT_FALSE(world.spans[0].job);
}

TEST(Engine, AFencedAttemptIsFollowedByANewOne) {
  World world;
  const JobId job = runOne(world);
  world.report(m(1), MemberPhase::done, MemberResult{MemberResult::Kind::fenced, 0, ""});
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  EXPECT_EQ(world.directive(m(1)).epoch, 2u);
  EXPECT_EQ(world.job(job).failures, 0u);
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

TEST(Engine, TerminationsAreRepeatedUntilAnswered) {
  World world;
  runOne(world);
  world.exited(m(1));
  world.take();
  world.pass(world.settings.query_every * 3);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 3u);
}

TEST(Engine, AnIdleMachineIsKeptForAWhileAndReused) {
  World world;
  world.settings.idle_timeout = 60s;
  world.settings.lease = 24h;
  runOne(world);
  world.exited(m(1));
  EXPECT_EQ(world.state.machine(m(1))->phase, MachinePhase::idle);
  world.pass(30s);
  const JobId second = world.submit();
  EXPECT_EQ(world.state.machine(m(1))->job, second);
  world.report(m(1), MemberPhase::running);
  world.exited(m(1));
  world.take();
  world.pass(59s);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  world.pass(1s);
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
}

TEST(Engine, AnIdleMachineOfTheWrongTypeMakesRoom) {
  World world;
  world.settings.idle_timeout = 1h;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 1)});
  runOne(world);
  world.exited(m(1));
  const JobId large = world.submit({.resources = {.milli_cpus = 8000, .gpus = 0, .memory = {}}});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.state.machine(m(2))->type, "large");
  EXPECT_EQ(world.job(large).phase, JobPhase::starting);
}

TEST(Engine, AHeldMachineIsNeverGivenToAJob) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  const Reply& reply = world.send(OpenMachine{"p", Market::on_demand, {}, "ada"});
  ASSERT_EQ(reply.machine, m(1));
  world.up(m(1));
  const JobId job = world.submit();
  EXPECT_EQ(world.job(job).phase, JobPhase::queued);
  EXPECT_EQ(world.send(OpenMachine{"p", Market::spot, {}, "bob"}).code, ErrorCode::resource_exhausted);
  world.take();
  world.pass(10s);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  EXPECT_EQ(world.state.machine(m(1))->phase, MachinePhase::idle);
  world.send(CloseMachine{m(1)});
  EXPECT_EQ(world.takeAll<TerminateMachine>().size(), 1u);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.job(job).phase, JobPhase::starting);
  EXPECT_EQ(world.send(CloseMachine{m(2)}).code, ErrorCode::failed_precondition);
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

// ---- ledger

TEST(Ledger, RunningTimeIsUsefulUpToTheCommitAndRedoneAfterIt) {
  World world;
  world.settings.lease = 24h;
  const JobId job = runOne(world);
  world.pass(100s);
  world.committed(m(1), 1, world.now - 10s);
  EXPECT_EQ(world.total(Use::useful), 90s);
  world.pass(40s);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.total(Use::useful), 90s);
  EXPECT_EQ(world.total(Use::redone), 50s);
  world.up(m(2));
  world.report(m(2), MemberPhase::running);
  world.pass(20s);
  world.exited(m(2));
  const Ledger ledger = *world.job(job).ledger;
  EXPECT_EQ(world.total(Use::useful), 110s);
  EXPECT_EQ(ledger.time[static_cast<std::size_t>(Use::useful)], 110s);
  EXPECT_EQ(ledger.on_demand_cost, cost(PricePerHour{1'000'000'000}, 110s));
}

TEST(Ledger, TheLastCommitAfterTheStopCounts) {
  World world;
  world.settings.lease = 24h;
  runOne(world);
  world.pass(60s);
  world.send(NoticeReceived{m(1), world.now + 30s});
  world.pass(5s);
  world.report(m(1), MemberPhase::saving);
  const Time covered = world.now;
  world.pass(3s);
  world.committed(m(1), 4, covered);
  world.stopped(m(1));
  EXPECT_EQ(world.total(Use::useful), 65s);
  EXPECT_EQ(world.total(Use::redone), 0s);
  EXPECT_EQ(world.total(Use::saving), 3s);
}

TEST(Ledger, PriceChangesSplitSpans) {
  World world;
  world.settings.lease = 24h;
  const JobId job = runOne(world);
  world.pass(3600s);
  world.send(PriceChanged{"p", "small", {600'000'000}});
  world.pass(3600s);
  world.exited(m(1));
  EXPECT_EQ(world.job(job).ledger->cost[static_cast<std::size_t>(Use::useful)].nano_usd, 900'000'000);
  EXPECT_EQ(world.total(Use::useful), 7200s);
}

TEST(Ledger, EveryUseIsBooked) {
  World world;
  world.settings.lease = 24h;
  const JobId job = world.submit();
  world.wait(7s);
  world.send(LaunchSucceeded{m(1), "", ""});
  world.wait(3s);
  world.send(AgentConnected{m(1), ""});
  world.report(m(1), MemberPhase::preparing);
  world.wait(4s);
  world.report(m(1), MemberPhase::restoring);
  world.wait(2s);
  world.report(m(1), MemberPhase::running);
  world.wait(10s);
  world.report(m(1), MemberPhase::saving);
  world.wait(1s);
  world.exited(m(1));
  const Ledger ledger = *world.job(job).ledger;
  world.wait(5s);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
  EXPECT_EQ(world.total(Use::starting), 7s);
  EXPECT_EQ(world.total(Use::restoring), 2s);
  EXPECT_EQ(world.total(Use::useful), 10s);
  EXPECT_EQ(world.total(Use::saving), 1s);
  EXPECT_EQ(world.total(Use::waiting), 5s);
  EXPECT_EQ(ledger.on_demand_cost, Money{cost(PricePerHour{1'000'000'000}, 7s).nano_usd +
                                         cost(PricePerHour{1'000'000'000}, 10s).nano_usd});
}

TEST(Ledger, QueuedTimeCostsNothing) {
  World world;
  world.settings.lease = 24h;
  world.send(PutPool{poolOf("p", 1)});
  runOne(world);
  const JobId second = world.submit();
  world.pass(100s);
  world.exited(m(1));
  EXPECT_EQ(world.job(second).ledger->queued, 100s);
}

// ---- the rest

TEST(Engine, ChangesNameEachObjectOnce) {
  World world;
  const JobId job = world.submit();
  world.up(m(1));
  world.report(m(1), MemberPhase::running);
  world.committed(m(1), 1, world.now);
  EXPECT_EQ(world.out.changes.jobs, std::vector<JobId>{job});
  EXPECT_EQ(world.out.changes.machines, std::vector<MachineId>{m(1)});
  world.take();
  world.committed(m(1), 2, world.now);
  EXPECT_EQ(world.out.changes.jobs, std::vector<JobId>{job});
}

TEST(Engine, ExplainsWhyAJobWaits) {
  World world;
  world.send(PutPool{poolOf("p", 1)});
  const JobId running = runOne(world);
  const JobId waiting = world.submit();
  const auto placement = explain(world.state, waiting, world.now, world.policy);
  ASSERT_TRUE(placement);
  EXPECT_EQ(placement->pool, nullptr);
  EXPECT_EQ(placement->candidates[0].rejected, "full");
  EXPECT_FALSE(explain(world.state, running, world.now, world.policy));
}

TEST(Engine, ResumeIssuesAgainWhatIsIntended) {
  World world;
  world.send(PutPool{poolOf("p", 2)});
  const JobId running = runOne(world);
  const JobId starting = world.submit();
  const JobId queued = world.submit();

  World restarted;
  restarted.now = world.now + 1h;
  State state;
  world.state.forEachMachine([&](const Machine& machine) { state.restore(machine); });
  world.state.forEachJob([&](const Job& job) { state.restore(clone(job)); });
  state.restore(*world.state.queue("default"));
  state.restore(*world.state.pool("p"));
  restarted.state = std::move(state);
  resume(restarted.state, restarted.now, restarted.settings, restarted.policy, restarted.out);
  const auto actions = restarted.take();
  int launches = 0, directives = 0, queries = 0;
  for (const Action& action : actions) {
    if (const auto* launch = std::get_if<LaunchMachine>(&action)) {
      EXPECT_EQ(launch->machine, m(2));
      ++launches;
    }
    if (const auto* direct = std::get_if<DirectAgent>(&action)) {
      EXPECT_EQ(direct->directive.kind, Kind::run);
      EXPECT_EQ(direct->directive.job, running);
      ++directives;
    }
    if (std::get_if<QueryMachine>(&action)) ++queries;
  }
  EXPECT_EQ(launches, 1);
  EXPECT_EQ(directives, 1);
  EXPECT_EQ(queries, 1);
  EXPECT_EQ(restarted.job(queued).phase, JobPhase::queued);
  EXPECT_FALSE(restarted.state.machine(m(1))->unreachable);
  restarted.exited(m(1));
  EXPECT_EQ(restarted.state.machine(m(1))->job, queued);
  EXPECT_EQ(restarted.submit(), JobId{starting.value + 2});
}

TEST(Types, NamesGoBothWays) {
  for (int i = 0; i <= static_cast<int>(JobPhase::timed_out); ++i) {
    const auto phase = static_cast<JobPhase>(i);
    EXPECT_EQ(fromString<JobPhase>(toString(phase)), phase);
  }
  for (int i = 0; i <= static_cast<int>(Use::waiting); ++i) {
    EXPECT_EQ(fromString<Use>(toString(static_cast<Use>(i))), static_cast<Use>(i));
  }
  EXPECT_EQ(fromString<Market>("on_demand"), Market::on_demand);
  EXPECT_EQ(fromString<Market>("onDemand"), std::nullopt);
}

}  // namespace
}  // namespace buoy::engine
