#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// What machine time is booked as.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::runOne;
using testing::World;

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

}  // namespace
}  // namespace buoy::engine
