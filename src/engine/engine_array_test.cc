#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/engine_test_support.h"
#include "engine/retries.h"

// Arrays, jobs that wait for others, and the rules of a retry.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using testing::poolOf;
using testing::World;

class Arrays : public ::testing::Test {
 protected:
  // Runs what has a machine until nothing is left: every task ends with `codeOf(index)`.
  template <class CodeOf>
  void drain(CodeOf codeOf) {
    for (std::uint64_t id = 1; world_.state.machine(m(id)) != nullptr || id <= made_; ++id) {
      for (const LaunchMachine& launch : world_.takeAll<LaunchMachine>())
        made_ = std::max(made_, launch.machine.value);
      if (world_.state.machine(m(id)) == nullptr) continue;
      world_.up(m(id));
      while (const Machine* machine = world_.state.machine(m(id))) {
        if (machine->phase != MachinePhase::assigned) break;
        const Job& job = world_.job(machine->job);
        order_.push_back(job.parent ? job.index : -1);
        const std::int32_t code = codeOf(job);
        world_.report(m(id), MemberPhase::running);
        world_.exited(m(id), code);
        for (const LaunchMachine& launch : world_.takeAll<LaunchMachine>())
          made_ = std::max(made_, launch.machine.value);
      }
    }
  }
  JobPhase phaseOf(JobId job) {
    for (const Record& record : world_.records) {
      if (record.job == job && record.kind == "finished")
        return *fromString<JobPhase>(record.detail.substr(0, record.detail.find(':')));
    }
    return JobPhase::queued;
  }

  World world_;
  std::uint64_t made_ = 0;
  std::vector<std::int32_t> order_;
};

TEST_F(Arrays, WaitAsOneJobAndRunAsMany) {
  world_.send(PutPool{poolOf("p", 2)});
  const JobId array = world_.submit({.array = 1000});
  EXPECT_EQ(world_.state.jobCount(), 3u) << "the array, and the two tasks that have a machine";
  const JobId after = world_.submit({.name = "after"});
  EXPECT_EQ(after.value, array.value + 1001) << "the ids of tasks are set aside";
  EXPECT_THAT(world_.job(array).reason, HasSubstr("full"));
  drain([](const Job&) { return 0; });
  EXPECT_EQ(order_.size(), 1001u);
  EXPECT_EQ(std::set<std::int32_t>(order_.begin(), order_.end()).size(), 1001u) << "each once";
  EXPECT_EQ(phaseOf(array), JobPhase::succeeded);
  EXPECT_EQ(phaseOf(after), JobPhase::succeeded);
  EXPECT_EQ(world_.state.jobCount(), 0u);
}

TEST_F(Arrays, FailWhenATaskDoesAndRetryTasksOneByOne) {
  const JobId array = world_.submit({.retry_failures = 1, .array = 4});
  drain([](const Job& task) { return task.index == 1 || (task.index == 2 && task.failures == 0) ? 7 : 0; });
  EXPECT_EQ(order_.size(), 6u) << "tasks 1 and 2 ran twice";
  EXPECT_EQ(phaseOf(array), JobPhase::failed);
  EXPECT_EQ(phaseOf(taskOf(array, 1)), JobPhase::failed);
  EXPECT_EQ(phaseOf(taskOf(array, 2)), JobPhase::succeeded);
}

TEST_F(Arrays, SequentialTasksFollowOneAnother) {
  const JobId array = world_.submit({.array = 3, .sequential = true});
  EXPECT_EQ(world_.state.jobCount(), 2u);
  EXPECT_THAT(world_.job(array).reason, HasSubstr("1 of 3 tasks run, 0 have ended"));
  drain([](const Job& task) { return task.index == 1 ? 1 : 0; });
  EXPECT_EQ(order_, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(phaseOf(taskOf(array, 2)), JobPhase::failed);
  EXPECT_EQ(phaseOf(array), JobPhase::failed);
}

TEST_F(Arrays, EachTaskWaitsForItsCounterpart) {
  world_.send(PutPool{poolOf("p", 1)});
  const JobId first = world_.submit({.array = 3});
  const JobId second = world_.submit({.priority = 1, .array = 3, .depends_on = {{first, true}}});
  drain([&](const Job& task) { return task.parent == first && task.index == 1 ? 1 : 0; });
  EXPECT_EQ(order_, (std::vector<std::int32_t>{0, 0, 1, 2, 2})) << "the second goes first where it may";
  EXPECT_EQ(phaseOf(taskOf(second, 1)), JobPhase::failed);
  EXPECT_EQ(phaseOf(second), JobPhase::failed);
}

TEST_F(Arrays, AreCancelledWholeOrTaskByTask) {
  world_.send(PutPool{poolOf("p", 1)});
  const JobId array = world_.submit({.array = 3});
  world_.up(m(1));
  world_.report(m(1), MemberPhase::running);
  EXPECT_TRUE(world_.send(CancelJob{.job = array, .index = 2}).accepted);
  EXPECT_FALSE(world_.send(CancelJob{.job = array, .index = 3}).accepted);
  EXPECT_FALSE(world_.send(CancelJob{.job = array, .only_waiting = true}).accepted) << "a task runs";
  EXPECT_TRUE(world_.send(CancelJob{array}).accepted);
  EXPECT_EQ(world_.job(array).phase, JobPhase::cancelled);
  EXPECT_EQ(world_.job(taskOf(array, 0)).phase, JobPhase::stopping);
  EXPECT_EQ(world_.job(taskOf(array, 2)).phase, JobPhase::cancelled);
  world_.stopped(m(1));
  world_.take();
  EXPECT_EQ(world_.state.jobCount(), 0u);
}

TEST_F(Arrays, AReclaimedTaskGoesOnAsItself) {
  const JobId array = world_.submit({.array = 2});
  world_.up(m(1));
  world_.report(m(1), MemberPhase::running);
  world_.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world_.job(taskOf(array, 0)).phase, JobPhase::recovering);
  EXPECT_EQ(world_.job(taskOf(array, 0)).failures, 0u);
  drain([](const Job&) { return 0; });
  EXPECT_EQ(phaseOf(array), JobPhase::succeeded);
}

TEST_F(Arrays, GoOnAfterARestartWhereTheyWere) {
  world_.send(PutPool{poolOf("p", 1)});
  const JobId array = world_.submit({.array = 3});
  const JobId waits = world_.submit({.depends_on = {{array, false}}});
  World restarted;
  restarted.now = world_.now + 1h;
  State state;
  state.restore(*world_.state.pool("p"));
  world_.state.forEachJob([&](const Job& job) { state.restore(clone(job)); });
  world_.state.forEachMachine([&](const Machine& machine) { state.restore(machine); });
  restarted.state = std::move(state);
  resume(restarted.state, restarted.now, restarted.settings, restarted.policy, restarted.out);
  world_ = std::move(restarted);
  made_ = 1;
  EXPECT_GT(world_.submit({.name = "later"}).value, waits.value);
  drain([](const Job&) { return 0; });
  EXPECT_EQ(phaseOf(array), JobPhase::succeeded);
  EXPECT_EQ(phaseOf(waits), JobPhase::succeeded);
  EXPECT_EQ(order_.size(), 5u);
}

TEST_F(Arrays, JobsWaitForOthersAndFailWithThem) {
  const JobId good = world_.submit({.name = "good"});
  const JobId bad = world_.submit({.name = "bad"});
  const JobId both = world_.submit({.depends_on = {{good, false}, {bad, false}}});
  const JobId after = world_.submit({.depends_on = {{good, false}}});
  const JobId chain = world_.submit({.depends_on = {{both, false}}});
  EXPECT_THAT(world_.job(both).reason, HasSubstr("waits for " + good.toString() + ", " + bad.toString()));
  EXPECT_EQ(world_.job(both).current, nullptr);
  drain([&](const Job& job) { return job.id == bad ? 1 : 0; });
  EXPECT_EQ(phaseOf(after), JobPhase::succeeded);
  EXPECT_EQ(phaseOf(both), JobPhase::failed);
  EXPECT_EQ(phaseOf(chain), JobPhase::failed);
  const Reply& late = world_.send(SubmitJob{{.name = "late", .depends_on = {{bad, false}}}, bad});
  EXPECT_EQ(world_.job(late.job).phase, JobPhase::failed);
  EXPECT_EQ(world_.submit({.name = "fine", .depends_on = {{good, false}}}).value, late.job.value + 1);
}

TEST_F(Arrays, AChainOfAThousandEndsInOneStepWhenItsHeadFails) {
  const JobId head = world_.submit({.name = "head"});
  JobId last = head;
  for (int i = 0; i < 1000; ++i) last = world_.submit({.depends_on = {{last, false}}});
  EXPECT_TRUE(world_.send(CancelJob{head}).accepted);
  EXPECT_EQ(world_.job(last).phase, JobPhase::failed);
}

TEST_F(Arrays, AnAttemptHasItsTime) {
  const JobId job = testing::runOne(world_, {.retry_failures = 3, .attempt_timeout = 60s});
  world_.pass(59s);
  EXPECT_EQ(world_.job(job).phase, JobPhase::running);
  world_.pass(2s);
  EXPECT_EQ(world_.job(job).stop, StopReason::max_run);
  world_.stopped(m(1));
  EXPECT_EQ(world_.job(job).phase, JobPhase::timed_out);
}

TEST_F(Arrays, RulesDecideWhatIsTriedAgain) {
  const JobRequest request{
      .retry_rules = {{.exit_code = "137", .reason = {}, .status = {}, .retry = false},
                      {.exit_code = "1*", .reason = "exited*", .status = {}, .retry = true},
                      {.exit_code = {}, .reason = {}, .status = "Host EC2*", .retry = false}}};
  const auto retried = [&](std::optional<std::int32_t> code, bool lost = false) {
    return isRetried(request,
                     {.exit_code = code, .reason = "exited with code", .lost = lost, .machine = m(1)});
  };
  EXPECT_FALSE(retried(137));
  EXPECT_TRUE(retried(1));
  EXPECT_TRUE(retried(2)) << "no rule: tried again";
  EXPECT_FALSE(retried({}, true));
  EXPECT_TRUE(isRetried({}, {.exit_code = 1, .reason = "", .machine = m(1)}));
}

TEST_F(Arrays, ALossSpendsNoAttemptUnlessARuleSaysSo) {
  const RetryRule exit{.exit_code = {}, .reason = {}, .status = "Host EC2*", .retry = false};
  const JobId job = testing::runOne(world_, {.retry_failures = 5, .retry_rules = {exit}});
  world_.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  EXPECT_EQ(world_.job(job).phase, JobPhase::failed);
  EXPECT_EQ(world_.job(job).reason, "Host EC2 (instance m1) terminated.");
}

TEST_F(Arrays, AGangIsPassedForAWhileOnly) {
  world_.send(PutPool{poolOf("p", 2)});
  const JobId first = testing::runOne(world_, {.name = "first"});
  const JobId gang = world_.submit({.name = "gang", .machines = 2});
  const JobId early = world_.submit({.name = "early"});
  EXPECT_NE(world_.job(early).current, nullptr) << "there is room for one";
  world_.up(m(2));
  world_.report(m(2), MemberPhase::running);
  world_.pass(11min);
  world_.exited(m(2));
  world_.send(MachineGone{m(2), GoneReason::terminated, ""});
  const JobId late = world_.submit({.name = "late"});
  EXPECT_EQ(world_.job(late).current, nullptr);
  EXPECT_THAT(world_.job(late).reason, HasSubstr("kept free for " + gang.toString()));
  world_.exited(m(1));
  EXPECT_NE(world_.job(gang).current, nullptr)
      << "the idle machine of " << first.toString() << " and another";
  EXPECT_EQ(world_.job(late).current, nullptr);
  EXPECT_TRUE(world_.send(CancelJob{gang}).accepted);
  EXPECT_NE(world_.job(late).current, nullptr);
}

TEST_F(Arrays, WhatWasKeptFreeForAGangGoesToOthersWhenItIsCancelled) {
  world_.send(PutPool{poolOf("p", 2)});
  testing::runOne(world_, {.name = "first"});
  const JobId gang = world_.submit({.name = "gang", .machines = 2});
  world_.pass(11min);
  const JobId late = world_.submit({.name = "late"});
  EXPECT_EQ(world_.job(late).current, nullptr);
  EXPECT_TRUE(world_.send(CancelJob{gang}).accepted);
  EXPECT_NE(world_.job(late).current, nullptr);
}

TEST_F(Arrays, QueuesAndPoolsAreTakenAway) {
  world_.send(PutQueue{{.name = "q", .priority = 0, .pools = {"p"}, .paused = true}});
  const JobId waiting = world_.submit({.queue = "q"});
  EXPECT_EQ(world_.send(RemovePool{"p"}).code, ErrorCode::failed_precondition);
  EXPECT_TRUE(world_.send(RemoveQueue{"q"}).accepted);
  EXPECT_EQ(world_.job(waiting).phase, JobPhase::cancelled);
  EXPECT_EQ(world_.state.queue("q"), nullptr);
  EXPECT_EQ(world_.send(RemoveQueue{"q"}).code, ErrorCode::not_found);
  EXPECT_TRUE(world_.send(RemovePool{"p"}).accepted);
  EXPECT_EQ(world_.state.pool("p"), nullptr);
}

}  // namespace
}  // namespace buoy::engine
