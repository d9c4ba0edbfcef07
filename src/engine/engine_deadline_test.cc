#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/engine.h"
#include "engine/engine_test_support.h"

// Jobs with a deadline, with the simple spot policy of engine_test_support.h.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using testing::poolOf;
using testing::World;
using Kind = Directive::Kind;

JobRequest promised(Duration work, Duration deadline) {
  JobRequest request;
  request.name = "job";
  request.policy = SpotRule::spot_first;
  request.work = work;
  request.deadline_in = deadline;
  return request;
}

Market marketOf(const World& world, MachineId machine) {
  return world.state.machine(machine)->market;
}

// A job of an hour that runs on spot machine m1.
JobId onSpot(World& world, Duration deadline) {
  const JobId job = world.submit(promised(1h, deadline));
  world.wait(10s);
  world.up(m(1));
  world.wait(5s);
  world.report(m(1), MemberPhase::running);
  world.take();
  EXPECT_EQ(marketOf(world, m(1)), Market::spot);
  return job;
}

std::vector<Record> steered(World& world) {
  world.take();
  std::vector<Record> found;
  for (const Record& record : world.records) {
    if (record.kind == "steered") found.push_back(record);
  }
  return found;
}

TEST(Deadline, OneThatCannotBeMetIsRefusedWithTheEarliest) {
  World world;
  const Duration changeover = world.settings.launch_time * 2 + world.settings.lease;
  EXPECT_FALSE(world.send(SubmitJob{promised(1h, 1h + changeover - 1s)}).accepted);
  EXPECT_EQ(world.out.reply.code, ErrorCode::invalid_argument);
  EXPECT_THAT(world.out.reply.message, HasSubstr("the earliest deadline is 1h 7m from now"));
  EXPECT_EQ(world.state.jobCount(), 0u);
  EXPECT_TRUE(world.out.changes.empty()) << "it changes nothing";
  EXPECT_TRUE(world.send(SubmitJob{promised(1h, 1h + changeover)}).accepted);

  Pool spot_only = poolOf("cheap");
  spot_only.on_demand = false;
  world.send(PutPool{spot_only});
  JobRequest request = promised(1h, 24h);
  request.pools = {"cheap"};
  EXPECT_FALSE(world.send(SubmitJob{request}).accepted);
  EXPECT_THAT(world.out.reply.message, HasSubstr("no pool of the job offers on-demand machines"));
}

TEST(Deadline, WithoutSlackItBeginsOnDemand) {
  World world;
  const JobId job = world.submit(promised(1h, 1h + 376s));
  ASSERT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(marketOf(world, m(1)), Market::on_demand);
  EXPECT_EQ(world.job(job).steering->want, Holding::on_demand);
}

TEST(Deadline, WithSlackItTakesSpotAndAgainAfterALoss) {
  World world;
  const JobId job = onSpot(world, 4h);
  world.wait(20min);
  world.committed(m(1), 1, world.now - 1min);
  EXPECT_EQ(world.job(job).steering->saved_work, 19min);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.take();
  EXPECT_EQ(marketOf(world, m(2)), Market::spot);
  EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
}

TEST(Deadline, WaitsWhileThereIsNoSpotAndTakesOnDemandInTime) {
  World world;
  const JobId job = world.submit(promised(1h, 3h));
  world.send(LaunchFailed{m(1), LaunchError::capacity, ""});
  world.take();
  EXPECT_EQ(world.job(job).steering->want, Holding::nothing);
  EXPECT_FALSE(world.job(job).current);
  // Spot is tried again from time to time, in vain.
  const Time end = world.now + 3h;
  std::set<MachineId> tried;
  for (;;) {
    world.pass(10s);
    ASSERT_LT(world.now, end);
    const auto launches = world.takeAll<LaunchMachine>();
    if (launches.empty()) continue;
    const MachineId id = launches.back().machine;
    ASSERT_TRUE(tried.insert(id).second);
    if (marketOf(world, id) == Market::on_demand) break;
    world.send(LaunchFailed{id, LaunchError::capacity, ""});
  }
  EXPECT_GT(tried.size(), 10u);
  const Duration left = end - world.now;
  EXPECT_GE(left, 1h + 375s) << "in time";
  EXPECT_LE(left, 1h + 2 * 375s + 5min) << "and not earlier than need be";
}

TEST(Deadline, WorkThatIsNotSavedIsSavedAndThenTakenToOnDemandInTime) {
  World world;
  const JobId job = onSpot(world, 2h);
  // Never saved: all would be lost with the machine.
  world.pass(57min);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 0u);
  world.pass(2min);
  world.take();
  EXPECT_EQ(world.directive(m(1)).save, 1u) << "asked to save";
  ASSERT_EQ(marketOf(world, m(2)), Market::on_demand);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run) << "it works on until the other one is up";
  world.wait(20s);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(1)).kind, Kind::stop);
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::moved);
  EXPECT_EQ(world.directive(m(2)).kind, Kind::idle) << "not twice at once";
  const Time stopped = world.now;
  world.report(m(1), MemberPhase::saving);
  world.wait(4s);
  world.committed(m(1), 1, stopped);
  world.stopped(m(1));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  EXPECT_GT(world.job(job).steering->saved_work, 59min);
  world.report(m(2), MemberPhase::running);
  world.wait(1min);
  world.exited(m(2));
  EXPECT_EQ(world.job(job).phase, JobPhase::succeeded);
  EXPECT_LE(world.now, world.job(job).submitted + 2h);
  for (const Record& record : steered(world)) EXPECT_TRUE(rederives(*record.decision->steered, world.policy));
}

TEST(Deadline, OneThatKeepsNothingIsNotAskedToSaveAndItsPolicyKnows) {
  World world;
  JobRequest request = promised(1h, 2h);
  request.begins_again = true;
  world.submit(request);
  world.wait(10s);
  world.up(m(1));
  world.wait(5s);
  world.report(m(1), MemberPhase::running);
  world.take();
  world.pass(59min);
  const auto decisions = steered(world);
  ASSERT_EQ(decisions.size(), 2u) << "spot, and on-demand in time to do everything there";
  for (const Record& record : decisions) EXPECT_TRUE(record.decision->steered->question.begins_again);
  EXPECT_EQ(world.directive(m(1)).save, 0u);
  EXPECT_EQ(marketOf(world, m(2)), Market::on_demand);
}

TEST(Deadline, SavesInTimeKeepItOnSpot) {
  World world;
  onSpot(world, 2h);
  for (std::uint64_t version = 1; version <= 58; ++version) {
    world.pass(1min);
    world.committed(m(1), version, world.now);
  }
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 0u);
  EXPECT_EQ(world.directive(m(1)).save, 0u) << "nobody had to ask";
}

TEST(Deadline, AMoveThatFailsLeavesWhatWorksAlone) {
  World world;
  world.send(PutPool{poolOf("p", 1)});  // no room for a second machine
  onSpot(world, 2h);
  world.pass(59min);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  EXPECT_EQ(world.state.machineCount(), 1u);
  world.committed(m(1), 1, world.now);
  world.pass(1min);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  EXPECT_EQ(steered(world).back().decision->steered->take, Holding::spot) << "there is slack again";
}

TEST(Deadline, ALossWhileItMovesNeedsNoSecondDecision) {
  World world;
  const JobId job = onSpot(world, 2h);
  world.pass(59min);
  world.take();
  ASSERT_EQ(marketOf(world, m(2)), Market::on_demand);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.take();
  EXPECT_EQ(world.state.machineCount(), 1u);
  world.up(m(2));
  EXPECT_EQ(world.directive(m(2)).kind, Kind::run);
  EXPECT_EQ(world.job(job).current->members[0].machine, m(2));
}

TEST(Deadline, AGangMovesAsOne) {
  World world;
  JobRequest request = promised(1h, 2h);
  request.machines = 2;
  world.submit(request);
  for (const MachineId id : {m(1), m(2)}) world.up(id);
  for (const MachineId id : {m(1), m(2)}) world.report(id, MemberPhase::running);
  world.pass(1h);
  world.take();
  ASSERT_EQ(marketOf(world, m(3)), Market::on_demand);
  ASSERT_EQ(marketOf(world, m(4)), Market::on_demand);
  world.up(m(3));
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  world.up(m(4));
  for (const MachineId id : {m(1), m(2)}) EXPECT_EQ(world.directive(id).kind, Kind::stop);
  for (const MachineId id : {m(1), m(2)}) world.stopped(id);
  for (const MachineId id : {m(3), m(4)}) EXPECT_EQ(world.directive(id).kind, Kind::run);
}

TEST(Deadline, AGangWhoseMainDecidesIsSteeredOnWhenAnotherHasEnded) {
  World world;
  JobRequest request = promised(1h, 2h);
  request.machines = 2;
  request.main_decides = true;
  world.submit(request);
  for (const MachineId id : {m(1), m(2)}) world.up(id);
  for (const MachineId id : {m(1), m(2)}) world.report(id, MemberPhase::running);
  world.wait(1min);
  world.exited(m(2));
  world.pass(1h);
  world.take();
  ASSERT_TRUE(world.state.machine(m(3)) && world.state.machine(m(4)));
  for (const MachineId id : {m(3), m(4)}) {
    EXPECT_EQ(marketOf(world, id), Market::on_demand);
    world.up(id);
  }
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::moved);
  world.stopped(m(1));
  for (const MachineId id : {m(3), m(4)}) EXPECT_EQ(world.directive(id).kind, Kind::run);
}

TEST(Deadline, AfterItWhatWorksGoesOn) {
  World world;
  const JobId job = onSpot(world, 2h);
  // The estimate was too short.
  for (std::uint64_t version = 1; version <= 125; ++version) {
    world.pass(1min);
    world.committed(m(1), version, world.now);
    for (const LaunchMachine& launch : world.takeAll<LaunchMachine>())
      world.send(LaunchFailed{launch.machine, LaunchError::quota, ""});
  }
  EXPECT_GT(world.now, world.job(job).submitted + 2h);
  EXPECT_EQ(world.directive(m(1)).kind, Kind::run);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.pass(5min);
  const auto launches = world.takeAll<LaunchMachine>();
  ASSERT_FALSE(launches.empty());
  EXPECT_EQ(marketOf(world, launches.back().machine), Market::on_demand);
}

TEST(Deadline, LaunchesThatWereSeenMakeTheBound) {
  World world;
  JobRequest request;
  request.name = "other";
  world.submit(request);
  world.wait(400s);
  world.up(m(1));
  EXPECT_EQ(world.state.pool("p")->launch_seen, 450s) << "and an eighth";
  EXPECT_FALSE(world.send(SubmitJob{promised(1h, 1h + 640s)}).accepted) << "450 s, 180 s and the lease";
  EXPECT_TRUE(world.send(SubmitJob{promised(1h, 1h + 645s)}).accepted);
}

// Wants a plan for every number of places, and takes on-demand for as long as it has none.
class Planning final : public PlacementPolicy {
 public:
  Placement place(const PlacementRequest& request, std::span<const PoolView> pools, Time now) const override {
    return fit_.place(request, pools, now);
  }
  SpotDecision steer(SpotRule rule, const SpotView& view) const override {
    SpotDecision decision = view.plan
                                ? fit_.steer(rule, view)
                                : SpotDecision{.take = Holding::nothing, .reason = "its plan is being made"};
    decision.wants_plan = !view.plan || view.plan->places != view.candidates.size();
    return decision;
  }
  std::shared_ptr<const SpotPlan> plan(SpotRule, const SpotView& view) const override {
    auto plan = std::make_shared<SpotPlan>();
    plan->places = static_cast<std::uint32_t>(view.candidates.size());
    return plan;
  }

 private:
  testing::FirstFit fit_;
};

// As World, with that policy.
struct PlanningWorld : World {
  Planning planning;
  void send(const Event& event) { step(state, event, now, settings, planning, out); }
  JobId submit(Duration deadline) {
    send(SubmitJob{promised(1h, deadline)});
    return out.reply.job;
  }
  void solve(const SolvePlan& wanted) { send(PlanSolved{wanted.job, planFor(planning, *wanted.question)}); }
};

TEST(DeadlinePlan, IsAskedForOnceAndTheQuestionIsPutAgainWhenItIsThere) {
  PlanningWorld world;
  const JobId job = world.submit(4h);
  const auto wanted = world.takeAll<SolvePlan>();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].job, job);
  EXPECT_EQ(world.job(job).steering->want, Holding::nothing);
  world.wait(10s);
  world.send(PutPool{poolOf("q")});  // asks its policy again
  EXPECT_TRUE(world.takeAll<SolvePlan>().empty()) << "one is under way";
  world.solve(wanted[0]);
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.job(job).steering->want, Holding::spot);
  ASSERT_EQ(world.job(job).steering->plan->places, 1u);
  const Record decided = steered(world).back();
  EXPECT_EQ(decided.decision->steered->question.plan, world.job(job).steering->plan);
  for (const Record& record : steered(world))
    EXPECT_TRUE(rederives(*record.decision->steered, world.planning));
}

TEST(DeadlinePlan, IsSolvedAgainWhenAnotherIsWantedAndDecidesUntilThen) {
  PlanningWorld world;
  const JobId job = world.submit(4h);
  world.solve(world.takeAll<SolvePlan>().at(0));
  world.take();
  world.send(PutPool{poolOf("q")});
  world.send(PutQueue{{.name = "default", .pools = {"p", "q"}}});
  world.wait(5min);
  world.send(Tick{});
  const auto wanted = world.takeAll<SolvePlan>();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].question->places.size(), 2u);
  EXPECT_EQ(world.job(job).steering->want, Holding::spot);
  world.solve(wanted[0]);
  EXPECT_EQ(world.job(job).steering->plan->places, 2u);
}

TEST(DeadlinePlan, IsAskedForAgainAfterARestartAndWhenItCouldNotBeSolved) {
  PlanningWorld world;
  const JobId job = world.submit(4h);
  world.take();
  State again;
  again.restore(clone(world.job(job)));
  again.restore(*world.state.pool("p"));
  again.restore(*world.state.queue("default"));
  world.state = std::move(again);
  resume(world.state, world.now, world.settings, world.planning, world.out);
  EXPECT_EQ(world.takeAll<SolvePlan>().size(), 1u);
  world.send(PlanSolved{job, nullptr});
  EXPECT_TRUE(world.takeAll<SolvePlan>().empty()) << "not in a circle";
  world.wait(1min);
  world.send(Tick{});
  EXPECT_EQ(world.takeAll<SolvePlan>().size(), 1u);
}

TEST(DeadlinePlan, OnlySoManyAreKept) {
  PlanningWorld world;
  world.settings.most_plans = 2;
  std::vector<JobId> jobs;
  for (int i = 0; i < 3; ++i) {
    jobs.push_back(world.submit(4h));
    world.solve(world.takeAll<SolvePlan>().at(0));
    world.wait(1s);
  }
  EXPECT_EQ(world.job(jobs[0]).steering->plan, nullptr) << "the oldest";
  EXPECT_NE(world.job(jobs[1]).steering->plan, nullptr);
  EXPECT_NE(world.job(jobs[2]).steering->plan, nullptr);
}

TEST(Deadline, RestoringElsewhereCostsTrafficAndTime) {
  World world;
  Pool far = poolOf("far");
  far.transfer_price = Money{20'000'000};
  world.send(PutPool{far});
  world.send(PutQueue{{.name = "default", .pools = {"p", "far"}}});
  const JobId job = onSpot(world, 8h);
  constexpr std::uint64_t kGiB = 1u << 30;
  const SaveMeasure save{.bytes = 10 * kGiB, .bytes_per_second = kGiB / 10};
  world.wait(20min);
  world.send(AgentReport{.machine = m(1),
                         .job = job,
                         .epoch = world.job(job).epoch,
                         .phases = {},
                         .committed_version = 1,
                         .committed_covers = world.now,
                         .result = {},
                         .save = save});
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  world.send(LaunchFailed{m(2), LaunchError::capacity, ""});
  const auto records = steered(world);
  const SpotQuestion& question = records.back().decision->steered->question;
  ASSERT_EQ(question.places.size(), 2u);
  EXPECT_EQ(question.places[0].move_cost, Money{});
  EXPECT_EQ(question.places[1].move_cost, Money{200'000'000});
  const Duration setup = world.job(job).steering->setup;
  EXPECT_GE(question.places[1].changeover, setup + 100s) << "until 10 GiB are there";
}

std::vector<MarketEvent> marketOf(World& world) {
  std::vector<MarketEvent> events = std::move(world.out.changes.market);
  world.out.changes.market.clear();
  return events;
}

TEST(Market, WhatBecomesOfSpotMachinesIsTold) {
  World world;
  onSpot(world, 4h);
  world.wait(1h);
  marketOf(world);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  const auto events = marketOf(world);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, MarketEvent::What::ended);
  EXPECT_TRUE(events[0].taken);
  EXPECT_GT(events[0].lived, 59min);
}

TEST(Market, AReclaimThatWasAskedForSaysNothingOfIt) {
  World world;
  onSpot(world, 4h);
  world.wait(1h);
  world.send(ReclaimMachine{m(1), 0s});
  marketOf(world);
  world.send(MachineGone{m(1), GoneReason::reclaimed, ""});
  const auto events = marketOf(world);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_FALSE(events[0].taken);
}

TEST(Market, SpotPoliciesLearnAgainWhenEnoughHasHappened) {
  World world;
  const JobId job = onSpot(world, 200h);
  std::set<Time> until;
  for (int i = 0; i < 40; ++i) {
    world.wait(10min);
    std::vector<MachineId> up;
    world.state.forEachMachine([&](const Machine& machine) { up.push_back(machine.id); });
    world.send(MachineGone{up.front(), GoneReason::reclaimed, ""});
    for (const LaunchMachine& launch : world.takeAll<LaunchMachine>()) world.up(launch.machine);
    until.insert(world.state.pool("p")->learned_until);
  }
  EXPECT_FALSE(isTerminal(world.job(job).phase));
  EXPECT_GE(until.size(), 3u);
  EXPECT_LE(until.size(), 6u) << "not at every event";
  EXPECT_GT(*until.rbegin(), Time{});
}

TEST(Deadline, IsKeptOverARestart) {
  World world;
  const JobId job = onSpot(world, 2h);
  world.pass(59min);
  world.take();
  State again;
  again.restore(clone(world.job(job)));
  world.state.forEachMachine([&](const Machine& machine) { again.restore(machine); });
  again.restore(*world.state.pool("p"));
  again.restore(*world.state.queue("default"));
  world.state = std::move(again);
  resume(world.state, world.now, world.settings, world.policy, world.out);
  world.take();
  EXPECT_EQ(world.state.machineCount(), 2u) << "the move goes on";
  world.up(m(2));
  EXPECT_EQ(world.directive(m(1)).stop, StopReason::moved);
}

}  // namespace
}  // namespace buoy::engine
