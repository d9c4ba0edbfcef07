#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_test_support.h"

// What the ledger says of a machine whose provider names the instants from and to which it is billed.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
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

  // Whoever puts the pool knows the prices of its configuration.
  Pool pool = testing::poolOf("p", 9);
  pool.types[0].on_demand_price = PricePerHour{999'000'000};
  world.send(PutPool{pool});
  EXPECT_EQ(world.state.machine(machine)->price, own);
  EXPECT_EQ(world.state.machine(machine)->on_demand_price, PricePerHour{999'000'000});
}

TEST_F(Billing, AMachineThatCostsWhatItsPoolSaysCostsWhatThatSaysNext) {
  world.up(machine);
  Pool pool = *world.state.pool("p");
  ASSERT_EQ(world.state.machine(machine)->price, pool.types[0].spot_price);
  pool.types[0].spot_price = PricePerHour{66'000'000};
  world.send(PutPool{pool});
  EXPECT_EQ(world.state.machine(machine)->price, PricePerHour{66'000'000});
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

// ---- rules beyond price × time; here as EC2's

struct BillingRules : Billing {
  Time begun;

  BillingRules() {
    Pool pool = *world.state.pool("p");
    pool.billing = {.least = 1min, .free_within = 1h};
    world.send(PutPool{pool});
    world.up(machine);
    begun = world.now;
    world.report(machine, MemberPhase::running);
  }
  // On and off the accounts of jobs.
  Money spent() {
    world.take();
    Money sum;
    for (const Span& span : world.spans) sum += span.cost();
    return sum;
  }
  Money ledger() const {
    Money sum;
    for (const Money each : world.job(job).ledger->cost) sum += each;
    return sum;
  }
  void gone(GoneReason reason, bool charged = false) {
    MachineGone event{machine, reason, "", begun, world.now};
    event.charged = charged;
    world.send(event);
    world.take();
  }
};

constexpr Money kHour{300'000'000};  // of "small", on spot

TEST_F(BillingRules, TakenBackSoonAMachineCostsNothing) {
  world.wait(30min);
  world.committed(machine, 1, world.now - 1min);
  world.wait(29min);
  EXPECT_GT(ledger(), Money{});
  gone(GoneReason::reclaimed);
  EXPECT_EQ(ledger(), Money{});
  EXPECT_EQ(spent(), Money{});
  EXPECT_EQ(world.total(Use::useful), 29min) << "its time was used all the same";
  EXPECT_TRUE(world.hasRecord("free"));
}

TEST_F(BillingRules, TakenBackLaterItCostsItsTime) {
  world.wait(1h);
  gone(GoneReason::reclaimed);
  EXPECT_EQ(spent(), kHour);
  EXPECT_EQ(ledger(), kHour);
}

TEST_F(BillingRules, ALateWordOfItsEndCountsFromThatEnd) {
  world.wait(59min);
  const Time until = world.now;
  world.wait(10min);
  world.committed(machine, 1, until - 1min);
  world.send(MachineGone{machine, GoneReason::reclaimed, "", begun, until});
  EXPECT_EQ(spent(), Money{});
}

TEST_F(BillingRules, GivenBackItCostsAMinuteAtLeast) {
  world.wait(15s);
  world.send(CancelJob{job});
  world.stopped(machine);
  world.take();
  gone(GoneReason::terminated);
  EXPECT_EQ(spent().nano_usd, kHour.nano_usd / 60);
}

TEST_F(BillingRules, LostItCostsAMinuteOfItsJob) {
  world.wait(15s);
  gone(GoneReason::vanished);
  EXPECT_EQ(ledger().nano_usd, kHour.nano_usd / 60);
  EXPECT_EQ(spent(), ledger());
}

TEST_F(BillingRules, WhatAPersonTakesBackIsPaid) {
  world.wait(30min);
  gone(GoneReason::reclaimed, true);
  EXPECT_EQ(spent().nano_usd, kHour.nano_usd / 2);
}

TEST_F(BillingRules, AFinishedJobKeepsItsLedgerAndNobodyGetsTheMoneyBack) {
  world.wait(10min);
  world.exited(machine);
  world.take();
  const Money before = spent();
  EXPECT_EQ(before.nano_usd, kHour.nano_usd / 6);
  world.wait(1min);
  gone(GoneReason::reclaimed);
  EXPECT_EQ(spent(), Money{}) << "the bill";
  Money of_job;
  for (const Span& span : world.spans) of_job += span.job == job ? span.cost() : Money{};
  EXPECT_EQ(of_job, before);
}

TEST_F(BillingRules, OnDemandIsNeverFree) {
  JobRequest request;
  request.name = "on demand";
  request.spot = SpotPreference::never;
  world.submit(request);
  world.up(m(2));
  const Time since = world.now;
  world.wait(30min);
  world.spans.clear();
  world.send(MachineGone{m(2), GoneReason::reclaimed, "", since, world.now});
  EXPECT_EQ(spent(), Money{500'000'000});
}

}  // namespace
}  // namespace buoy::engine
