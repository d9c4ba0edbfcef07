#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_test_support.h"

// Jobs that share machines.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::World;

constexpr Resources kOneCpu{.milli_cpus = 1000};

Pool packing(std::int32_t max_machines = 1) {
  Pool pool = testing::poolOf("p", max_machines);
  pool.types = {{"quad",
                 {.milli_cpus = 4000, .gpus = 2, .memory = ByteCount{8ull << 30}},
                 {4'000'000'000},
                 {1'000'000'003}}};
  pool.pack = true;
  return pool;
}

struct PackTest : ::testing::Test {
  PackTest() { put(packing()); }

  void put(const Pool& pool) {
    world.send(PutPool{pool});
    world.take();
  }
  JobId submit(Resources resources = kOneCpu, bool alone = false) {
    return world.submit({.name = "job", .resources = resources, .alone = alone});
  }
  MachineId machineOf(JobId job) {
    const Attempt* const attempt = world.job(job).current.get();
    return attempt ? attempt->members[0].machine : MachineId{};
  }
  const Machine& machine(MachineId id) { return *world.state.machine(id); }
  // Its agent has come up, and its job runs.
  void run(JobId job) {
    world.send(AgentConnected{machineOf(job), ""});
    world.report(machineOf(job), MemberPhase::running);
  }
  // What was paid for this time, in nano-dollars an hour × microseconds.
  __extension__ typedef __int128 Exact;
  Exact paid() {
    world.take();
    Exact sum = 0;
    for (const Span& span : world.spans) sum += Exact{span.price.nano_usd} * (span.end - span.begin).count();
    return sum;
  }
  std::size_t launches() { return world.takeAll<LaunchMachine>().size(); }

  World world;
};

TEST_F(PackTest, FillsAMachineBeforeAnythingElse) {
  std::vector<JobId> jobs;
  for (int i = 0; i < 8; ++i) jobs.push_back(submit());
  EXPECT_EQ(launches(), 1u);  // of a machine: parts are its agent's
  world.up(m(1));
  const Directive directive = world.directive(m(1));
  ASSERT_EQ(directive.parts.size(), 4u);
  EXPECT_EQ(directive.kind, Directive::Kind::idle);
  for (int i = 0; i < 4; ++i) run(jobs[i]);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(world.job(jobs[i]).phase, i < 4 ? JobPhase::running : JobPhase::queued) << i;
  EXPECT_EQ(machine(machineOf(jobs[0])).host, m(1));
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::assigned);

  // A job of the same size takes the part as it is.
  const MachineId part = machineOf(jobs[0]);
  world.exited(part);
  EXPECT_EQ(machineOf(jobs[4]), part);
  EXPECT_EQ(world.directive(part).job, jobs[4]);
}

TEST_F(PackTest, GivesTheMachineBackWhenItsLastPartIsClosed) {
  const JobId job = submit();
  world.up(m(1));
  run(job);
  const MachineId part = machineOf(job);
  world.exited(part);
  EXPECT_EQ(machine(part).phase, MachinePhase::releasing);
  ASSERT_EQ(world.directive(m(1)).parts.size(), 1u);
  EXPECT_EQ(world.directive(m(1)).parts[0].close, Directive::Part::Close::when_done);
  EXPECT_TRUE(world.takeAll<TerminateMachine>().empty());
  world.send(PartClosed{m(1), part});
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::releasing);  // without an idle timeout
  const auto ended = world.takeAll<TerminateMachine>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].machine, m(1));
}

TEST_F(PackTest, CountsEveryDimension) {
  put(packing(2));
  const JobId gpu = submit({.milli_cpus = 1000, .gpus = 1}), two = submit({.milli_cpus = 1000, .gpus = 2});
  const JobId more = submit({.milli_cpus = 1000, .gpus = 1});
  const JobId memory = submit({.milli_cpus = 500, .memory = ByteCount{8ull << 30}});
  EXPECT_EQ(machine(machineOf(gpu)).host, machine(machineOf(more)).host);
  EXPECT_NE(machine(machineOf(gpu)).host, machine(machineOf(two)).host);
  EXPECT_EQ(machine(machineOf(gpu)).devices, std::vector<std::int32_t>{0});
  EXPECT_EQ(machine(machineOf(more)).devices, std::vector<std::int32_t>{1});
  EXPECT_EQ(machine(machineOf(two)).devices, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(machine(machineOf(memory)).host, machine(machineOf(gpu)).host);  // the one with the least room
  const JobId late = submit({.milli_cpus = 500, .memory = ByteCount{9ull << 30}});
  EXPECT_EQ(world.job(late).phase, JobPhase::queued);
}

TEST_F(PackTest, PartsAndTheRestAddUpToTheMachine) {
  const JobId first = submit(), second = submit({.milli_cpus = 1500, .gpus = 1});
  world.wait(3s);
  world.send(LaunchSucceeded{m(1), "ref", "addr", world.now - 1s});
  world.send(AgentConnected{m(1), ""});
  const Time begin = world.now - 1s;
  world.wait(2s);
  run(first);
  world.wait(10s);
  run(second);
  world.wait(7s);
  const JobId third = submit();
  world.wait(1s);
  run(third);
  world.wait(5s);
  world.send(PriceChanged{"p", "quad", {700'000'001}, world.now - 4s});
  const Time changed = world.now - 4s;
  world.wait(5s);
  const MachineId part = machineOf(first);
  world.exited(part);
  world.wait(1s);
  world.send(PartClosed{m(1), part});
  world.wait(9s);
  world.send(MachineGone{m(1), GoneReason::reclaimed, "", {}, world.now});
  const Exact whole = Exact{packing().types[0].spot_price.nano_usd} * (changed - begin).count() +
                      Exact{700'000'001} * (world.now - changed).count();
  EXPECT_EQ(paid(), whole);
  // A quarter for a CPU of four, of a machine with GPUs half of that: that half is for those.
  const auto of_first = std::find_if(world.spans.begin(), world.spans.end(),
                                     [&](const Span& span) { return span.job == first; });
  ASSERT_NE(of_first, world.spans.end());
  EXPECT_EQ(of_first->price.nano_usd, 1'000'000'003 / 8);
}

TEST_F(PackTest, AddsWhatWasBilledBeforeItWasHeardOf) {
  const JobId first = submit();
  world.wait(10s);
  const Time since = world.now - 8s;
  world.send(AgentConnected{m(1), "addr"});  // the provider's answer is late
  run(first);
  world.wait(5s);
  const JobId second = submit();
  run(second);
  world.wait(5s);
  world.send(LaunchSucceeded{m(1), "ref", "addr", since});
  world.send(MachineGone{m(1), GoneReason::vanished, "", since, world.now});
  EXPECT_EQ(paid(), Exact{packing().types[0].spot_price.nano_usd} * (world.now - since).count());
}

TEST_F(PackTest, TakenBackSoonAllOfItCostsNothing) {
  Pool pool = packing();
  pool.billing = {.least = 1min, .free_within = 1h};
  put(pool);
  const JobId first = submit(), second = submit();
  world.up(m(1));
  run(first);
  run(second);
  world.wait(60s);
  world.committed(machineOf(first), 1, world.now);
  world.exited(machineOf(second));
  world.send(PartClosed{m(1), m(3)});
  world.wait(60s);
  world.send(MachineGone{m(1), GoneReason::reclaimed, "", {}, world.now});
  world.take();
  Money sum;
  for (const Span& span : world.spans) sum += span.cost();
  EXPECT_EQ(sum, Money{});
}

TEST_F(PackTest, AReclaimTakesEveryJobOfTheMachine) {
  std::vector<JobId> jobs;
  for (int i = 0; i < 4; ++i) jobs.push_back(submit());
  world.up(m(1));
  for (const JobId job : jobs) run(job);
  world.take();
  world.send(NoticeReceived{m(1), world.now + 30s});
  for (const JobId job : jobs)
    EXPECT_EQ(world.directive(machineOf(job)).stop, StopReason::notice) << job.toString();
  EXPECT_EQ(launches(), 0u);  // the pool may have one machine
  world.send(MachineGone{m(1), GoneReason::reclaimed});
  EXPECT_EQ(launches(), 1u);
  for (const JobId job : jobs) {
    EXPECT_EQ(world.job(job).phase, JobPhase::recovering);
    EXPECT_EQ(world.job(job).ledger->reclaims_noticed, 1u);
    EXPECT_EQ(machine(machineOf(job)).host, machine(machineOf(jobs[0])).host);
  }
}

// Each of its agents asks the machine for itself.
TEST_F(PackTest, ANoticeThatOnePartIsToldFirstIsThatOfItsMachine) {
  put(packing(2));
  const JobId first = submit(), second = submit();
  world.up(m(1));
  run(first);
  run(second);
  world.take();
  const MachineId part = machineOf(first);
  world.send(NoticeReceived{part, world.now + 30s});
  EXPECT_TRUE(machine(m(1)).notice_deadline);
  EXPECT_EQ(world.directive(machineOf(second)).stop, StopReason::notice);
  EXPECT_EQ(launches(), 1u) << "the rest of the machine is taken, too";
  world.send(NoticeReceived{m(1), world.now + 30s});
  for (const JobId job : {first, second}) EXPECT_EQ(world.job(job).ledger->reclaims_noticed, 1u);
}

TEST_F(PackTest, WhatIsReservedForOtherSharesIsCountedInParts) {
  world.send(
      PutQueue{{.name = "q", .pools = {"p"}, .fair = FairShare{.decay = {}, .reserve = 50, .weights = {}}}});
  for (int i = 0; i < 4; ++i) world.submit({.queue = "q", .resources = kOneCpu, .share = "ada"});
  EXPECT_EQ(world.takeAll<LaunchMachine>().size(), 1u);
  EXPECT_EQ(world.state.machineCount(), 3u) << "the machine, and half of it in parts";
  world.submit({.queue = "q", .resources = kOneCpu, .share = "bob"});
  EXPECT_EQ(world.state.machineCount(), 4u);
}

TEST_F(PackTest, SurvivesARestart) {
  const JobId first = submit(), second = submit();
  world.up(m(1));
  run(first);
  const Directive before = world.directive(m(1));
  world.take();
  State again;
  again.restore(*world.state.pool("p"));
  for (std::uint64_t id = 1; id <= 3; ++id) again.restore(*world.state.machine(m(id)));
  world.state.forEachJob([&](const Job& job) { again.restore(clone(job)); });
  world.state = std::move(again);
  EXPECT_EQ(world.directive(m(1)), before);  // also before the first step
  resume(world.state, world.now, world.settings, world.policy, world.out);
  EXPECT_TRUE(world.takeAll<LaunchMachine>().empty());
  EXPECT_EQ(world.directive(m(1)), before);
  run(second);
  EXPECT_EQ(world.job(second).phase, JobPhase::running);
  // There is room for two more, and no more.
  const JobId third = submit({.milli_cpus = 2000}), fourth = submit({.milli_cpus = 1});
  EXPECT_EQ(machine(machineOf(third)).host, m(1));
  EXPECT_EQ(world.job(fourth).phase, JobPhase::queued);
}

TEST_F(PackTest, ALargeJobIsNotPassedForEver) {
  const JobId small = submit();
  world.up(m(1));
  run(small);
  const JobId large = submit({.milli_cpus = 4000});
  const JobId passing = submit();
  EXPECT_EQ(world.job(large).phase, JobPhase::queued);
  EXPECT_EQ(machine(machineOf(passing)).host, m(1));
  for (int i = 0; i < 66; ++i) {
    for (std::uint64_t id = 1; id <= 3; ++id) world.send(LeaseRenewed{m(id)});
    world.wait(10s);
  }
  const JobId late = submit();
  EXPECT_EQ(world.job(late).phase, JobPhase::queued);
  EXPECT_NE(world.job(late).reason.find("kept free for " + large.toString()), std::string::npos)
      << world.job(late).reason;
}

TEST_F(PackTest, OneThatWantsAMachineToItselfGetsIt) {
  put(packing(2));
  const JobId shared = submit(), alone = submit(kOneCpu, true);
  EXPECT_EQ(launches(), 2u);
  EXPECT_TRUE(machine(machineOf(shared)).host);
  EXPECT_FALSE(machine(machineOf(alone)).host);
  JobRequest gang{.name = "gang", .machines = 2};
  const JobId pair = world.submit(gang);
  EXPECT_EQ(world.job(pair).phase, JobPhase::queued);
}

TEST_F(PackTest, OneThatFillsAMachineIsOnNoPart) {
  const JobId job = submit({.milli_cpus = 4000});
  EXPECT_EQ(machineOf(job), m(1));
  world.up(m(1));
  run(job);
  world.exited(m(1));
  const JobId next = submit({.milli_cpus = 2000});  // it is given back; this one needs another
  EXPECT_EQ(world.job(next).phase, JobPhase::queued);
}

TEST_F(PackTest, NothingIsPutWhereNoAgentCanBeStarted) {
  put(packing(2));
  const JobId job = submit();
  world.up(m(1));
  world.take();
  world.send(PartClosed{m(1), machineOf(job), "cannot start a process"});
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::releasing);
  world.pass(5s);
  EXPECT_EQ(machine(machineOf(job)).host, m(3));
}

TEST_F(PackTest, ASilentMachineIsEndedWhenNobodyNeedsIt) {
  const JobId first = submit(), second = submit();
  world.up(m(1));
  run(first);
  run(second);
  world.pass(20s);  // nobody is heard from
  world.send(CancelJob{first});
  world.pass(2min);
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::assigned);  // the other job may go on
  world.send(CancelJob{second});
  world.take();
  world.pass(2min);
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::releasing);
  world.send(MachineGone{m(1), GoneReason::terminated});
  EXPECT_EQ(world.state.jobCount(), 2u);  // until they are durable
  world.take();
  EXPECT_EQ(world.state.jobCount(), 0u);
}

// Such as one whose agent is of a time that knew no parts: it is heard from, and closes nothing.
TEST_F(PackTest, ADeafMachineIsEndedWhenNobodyNeedsIt) {
  const JobId first = submit(), second = submit();
  world.up(m(1));
  run(first);
  run(second);
  world.exited(machineOf(first));
  const auto listen = [&](Duration by) {
    for (Duration passed{}; passed < by; passed += 5s) {
      world.send(LeaseRenewed{m(1)});
      if (world.job(second).current) world.send(LeaseRenewed{machineOf(second)});
      world.pass(5s);
    }
  };
  listen(world.settings.boot_timeout + 1min);
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::assigned) << "the other job is there";
  EXPECT_FALSE(machine(m(1)).unreachable);
  world.exited(machineOf(second));
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::assigned);
  listen(1min);
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::releasing);
}

// Its provider's answer is late, and the news of its end comes first.
TEST_F(PackTest, TakenBackBeforeItWasHeardOfItIsPaidUntilItsEnd) {
  const JobId first = submit(), second = submit();
  world.wait(10s);
  const Time since = world.now - 8s, until = world.now - 3s;
  world.send(MachineGone{m(1), GoneReason::reclaimed, "", since, until});
  EXPECT_EQ(paid(), Exact{packing().types[0].spot_price.nano_usd} * (until - since).count());
  for (const Span& span : world.spans) EXPECT_LE(span.end, until);
  EXPECT_EQ(world.job(first).phase, JobPhase::queued);
  EXPECT_EQ(world.job(second).phase, JobPhase::queued);
  world.pass(5s);
  EXPECT_NE(machine(machineOf(first)).host, m(1));
}

TEST_F(PackTest, TakenBackBeforeItWasHeardOfItCostsNothingWhereThatIsTheRule) {
  Pool pool = packing();
  pool.billing.free_within = 1h;
  put(pool);
  submit();
  submit();
  world.wait(10s);
  world.send(MachineGone{m(1), GoneReason::reclaimed, "", world.now - 8s, world.now - 3s});
  world.take();
  ASSERT_FALSE(world.spans.empty());
  Money sum;
  for (const Span& span : world.spans) sum += span.cost();
  EXPECT_EQ(sum, Money{});
}

TEST_F(PackTest, APartIsOpenedOnlyWhenItsMachineIsUp) {
  const JobId job = submit();
  EXPECT_EQ(machine(machineOf(job)).phase, MachinePhase::requested);
  world.send(CancelJob{job});
  EXPECT_EQ(machine(m(2)).phase, MachinePhase::gone);
  EXPECT_EQ(machine(m(1)).phase, MachinePhase::releasing);  // nobody needs it any more
}

TEST_F(PackTest, AFailedLaunchIsTheFailureOfAllItsParts) {
  const JobId first = submit(), second = submit();
  world.send(LaunchFailed{m(1), LaunchError::quota, "no"});
  EXPECT_EQ(world.job(first).phase, JobPhase::queued);
  EXPECT_EQ(world.job(second).phase, JobPhase::queued);
  EXPECT_EQ(world.state.pool("p")->consecutive_failures, 1u);
}

}  // namespace
}  // namespace buoy::engine
