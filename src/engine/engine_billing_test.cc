#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_test_support.h"

// What the ledger says of a machine whose provider names the instants from and to which it is billed.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::World;

struct Billing : ::testing::Test {
  World world;
  JobId job = world.submit();
  MachineId machine{1};

  // From the first to the last span, which must touch.
  std::pair<Time, Time> billed() {
    world.take();
    std::vector<Span> spans = world.spans;
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < spans.size(); ++i) EXPECT_EQ(spans[i].begin, spans[i - 1].end);
    return spans.empty() ? std::pair<Time, Time>{} : std::pair{spans.front().begin, spans.back().end};
  }
};

TEST_F(Billing, BeginsWhenTheProviderSaysThatTheMachineBegan) {
  world.wait(10s);
  const Time since = world.now - 3s;
  world.send(LaunchSucceeded{machine, "ref", "addr", since});
  world.send(AgentConnected{machine, ""});
  world.wait(5s);
  world.send(MachineGone{machine, GoneReason::reclaimed, "", since, world.now - 1s});
  EXPECT_EQ(billed(), std::pair(since, world.now - 1s));
}

TEST_F(Billing, AddsWhatWasBilledBeforeTheAgentWasHeard) {
  world.wait(10s);
  const Time since = world.now - 4s;
  world.send(AgentConnected{machine, "addr"});  // the provider's answer was lost in a crash
  world.wait(5s);
  world.report(machine, MemberPhase::running);
  world.send(LaunchSucceeded{machine, "ref", "addr", since});
  world.wait(5s);
  world.send(MachineGone{machine, GoneReason::vanished, "", since, world.now});
  EXPECT_EQ(billed(), std::pair(since, world.now));
  EXPECT_EQ(world.total(Use::starting, machine), 9s);
}

TEST_F(Billing, CountsAMachineThatWasNeverHeardOf) {
  world.wait(60s);
  const Time since = world.now - 50s, until = world.now - 20s;
  world.send(MachineGone{machine, GoneReason::reclaimed, "", since, until});
  EXPECT_EQ(billed(), std::pair(since, until));
  EXPECT_EQ(world.total(Use::starting, machine), 30s);
}

TEST_F(Billing, CountsAMachineThatWasReleasedBeforeItWasHeardOf) {
  world.send(CancelJob{job});
  world.wait(60s);
  const Time since = world.now - 50s, until = world.now - 20s;
  world.send(MachineGone{machine, GoneReason::terminated, "", since, until});
  EXPECT_EQ(billed(), std::pair(since, until));
}

TEST_F(Billing, TakesBackWorkThatTheProviderSaysWasNotDone) {
  world.up(machine);
  const Time since = world.now;
  world.report(machine, MemberPhase::running);
  world.wait(20s);
  world.send(PriceChanged{"p", "small", {100'000'000}, {}});  // closes a piece
  world.wait(10s);
  world.send(MachineGone{machine, GoneReason::reclaimed, "", since, since + 12s});
  EXPECT_EQ(billed(), std::pair(since, since + 12s));
  EXPECT_EQ(world.total(Use::redone, machine), 12s);
}

TEST_F(Billing, APriceCountsFromTheInstantItChanged) {
  world.up(machine);
  const Time since = world.now;
  world.wait(20s);
  world.send(PriceChanged{"p", "small", {100'000'000}, since + 15s});
  world.wait(5s);
  world.send(MachineGone{machine, GoneReason::reclaimed, ""});
  world.take();
  Duration cheap{};
  for (const Span& span : world.spans) {
    if (span.price == PricePerHour{100'000'000}) cheap += span.end - span.begin;
  }
  EXPECT_EQ(cheap, 10s);
}

TEST_F(Billing, AMachineOfItsOwnPriceKeepsItWhateverThePoolOffers) {
  world.up(machine);
  const PricePerHour own{77'000'000};
  PriceChanged change{"p", "small", own};
  change.machine = machine;
  world.send(change);
  EXPECT_EQ(world.state.machine(machine)->price, own);
  PriceChanged offer{"p", "small", {55'000'000}};
  offer.offers_only = true;
  world.send(offer);
  EXPECT_EQ(world.state.machine(machine)->price, own);
  EXPECT_EQ(world.state.pool("p")->types[0].spot_price, PricePerHour{55'000'000});
}

TEST_F(Billing, AMachineIsOfTheTypeThatTheProviderGave) {
  Pool pool = *world.state.pool("p");
  pool.types.push_back(pool.types[0]);
  pool.types.back().name = "other";
  pool.types.back().spot_price = PricePerHour{44'000'000};
  pool.types.back().on_demand_price = PricePerHour{88'000'000};
  world.send(PutPool{pool});
  LaunchSucceeded up{machine, "ref", "addr"};
  up.type = "other";
  world.send(up);
  EXPECT_EQ(world.state.machine(machine)->type, "other");
  EXPECT_EQ(world.state.machine(machine)->price, PricePerHour{44'000'000});
  EXPECT_EQ(world.state.machine(machine)->on_demand_price, PricePerHour{88'000'000});
  up.price = PricePerHour{33'000'000};
  world.send(up);
  EXPECT_EQ(world.state.machine(machine)->price, PricePerHour{33'000'000});
  up.price = {};
  world.send(up);
  EXPECT_EQ(world.state.machine(machine)->price, PricePerHour{33'000'000}) << "that says nothing new";
  up.type = "unknown";
  world.send(up);
  EXPECT_EQ(world.state.machine(machine)->type, "other");
}

}  // namespace
}  // namespace buoy::engine
