#include "engine/engine.h"

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::runOne;
using testing::World;
using Kind = Directive::Kind;

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
