#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// Which job gets which machine: queues, pools, launches and idle machines.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::runOne;
using testing::World;
using Kind = Directive::Kind;

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

TEST(Engine, WhoRunsNoContainersIsKnownOfAllPoolsOfAProvider) {
  World world;
  Pool pool = poolOf("p");
  world.send(PutPool{pool});
  const std::string provider = pool.provider;
  world.send(ContainersChanged{provider, "there is no docker"});
  EXPECT_EQ(world.state.pool("p")->no_containers, "there is no docker");
  world.send(PutPool{poolOf("q")});
  EXPECT_EQ(world.state.pool("q")->no_containers, "there is no docker") << "of the pools that are there";
  world.send(PutPool{pool});
  EXPECT_EQ(world.state.pool("p")->no_containers, "there is no docker") << "a change of the pool keeps it";
  world.send(ContainersChanged{"other", "nothing"});
  world.send(ContainersChanged{provider, ""});
  EXPECT_EQ(world.state.pool("p")->no_containers, "");
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

TEST(Engine, APoolsCpusAreALimitThatTheLastMachineMayExceed) {
  World world;
  Pool pool = poolOf("p", 100);
  pool.max_milli_cpus = 10'000;
  world.send(PutPool{pool});
  const Resources large{.milli_cpus = 4000, .gpus = 0, .memory = {}};
  for (int i = 0; i < 5; ++i) world.submit({.resources = large});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 2u) << "of eight cpus each";
  EXPECT_EQ(world.state.machine(m(2))->type, "large");
  world.submit();
  EXPECT_TRUE(world.takeAll<LaunchMachine>().empty()) << "sixteen are more than ten already";
  world.up(m(1));
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
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

TEST(Engine, SoItDoesWhereCpusAreTheLimit) {
  World world;
  world.settings.idle_timeout = 1h;
  world.settings.lease = 24h;
  Pool pool = poolOf("p");
  pool.max_milli_cpus = 1000;
  world.send(PutPool{pool});
  runOne(world);
  world.exited(m(1));
  world.take();
  const JobId never = world.submit({.resources = {.milli_cpus = 16000}});
  EXPECT_EQ(world.state.machine(m(1))->phase, MachinePhase::idle) << "it would do this one no good";
  world.send(CancelJob{never});
  const JobId large = world.submit({.resources = {.milli_cpus = 8000}});
  EXPECT_EQ(world.state.machine(m(1))->phase, MachinePhase::releasing);
  world.send(MachineGone{m(1), GoneReason::terminated, ""});
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

}  // namespace
}  // namespace buoy::engine
