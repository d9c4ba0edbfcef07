#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

// One machine asked for in several pools at once.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::m;
using testing::poolOf;
using testing::World;
using Kind = Directive::Kind;

class Race : public ::testing::Test {
 protected:
  Race() {
    world_.send(PutPool{poolOf("q")});
    world_.send(PutPool{poolOf("r")});
    world_.take();
  }
  JobId submit(std::int32_t race) { return world_.submit({.pools = {"p", "q", "r"}, .race = race}); }
  const Machine* machine(std::uint64_t id) const { return world_.state.machine(m(id)); }
  std::vector<MachineId> ended() {
    std::vector<MachineId> ids;
    for (const TerminateMachine& each : world_.takeAll<TerminateMachine>()) ids.push_back(each.machine);
    return ids;
  }
  World world_;
};

TEST_F(Race, AsksSoManyPoolsAtOnce) {
  submit(2);
  const auto launches = world_.takeAll<LaunchMachine>();
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(machine(1)->pool, "p");
  EXPECT_EQ(machine(2)->pool, "q");
  EXPECT_FALSE(machine(2)->job) << "it belongs to the race";
  EXPECT_TRUE(world_.hasRecord("raced"));
}

TEST_F(Race, TheFirstThatIsUpRunsTheJobAndTheOthersAreGivenBackAtOnce) {
  const JobId job = submit(3);
  world_.send(LaunchSucceeded{m(1), "ref-1", ""});
  world_.take();
  world_.wait(10s);
  world_.up(m(3));
  EXPECT_EQ(machine(3)->job, job);
  EXPECT_EQ(world_.directive(m(3)).kind, Kind::run);
  EXPECT_EQ(ended(), (std::vector<MachineId>{m(1), m(2)}));
  // The one that was only slower may still come: it is ended.
  world_.up(m(2));
  EXPECT_EQ(ended(), (std::vector<MachineId>{m(2)}));
  world_.report(m(3), MemberPhase::running);
  world_.exited(m(3));
  EXPECT_EQ(world_.job(job).phase, JobPhase::succeeded);
}

TEST_F(Race, ItsOwnMachineMayWin) {
  const JobId job = submit(2);
  world_.take();
  world_.up(m(1));
  EXPECT_EQ(machine(1)->job, job);
  EXPECT_EQ(ended(), (std::vector<MachineId>{m(2)}));
}

TEST_F(Race, ARivalTakesThePlaceOfAMachineThatCannotBeHad) {
  const JobId job = submit(2);
  world_.take();
  world_.send(LaunchFailed{m(1), LaunchError::capacity, "none left"});
  EXPECT_EQ(machine(2)->job, job);
  EXPECT_TRUE(world_.takeAll<LaunchMachine>().empty()) << "there is one on its way";
  world_.up(m(2));
  EXPECT_EQ(world_.directive(m(2)).kind, Kind::run);
}

TEST_F(Race, ARivalThatFailsIsForgotten) {
  const JobId job = submit(2);
  world_.take();
  world_.send(LaunchFailed{m(2), LaunchError::capacity, "none left"});
  world_.up(m(1));
  EXPECT_EQ(machine(1)->job, job);
  EXPECT_TRUE(ended().empty());
}

TEST_F(Race, ACancelledJobGivesAllOfThemBack) {
  const JobId job = submit(3);
  world_.take();
  world_.send(CancelJob{job});
  EXPECT_THAT(ended(), ::testing::UnorderedElementsAre(m(1), m(2), m(3)));
}

TEST_F(Race, WhatTheLosersCostIsOnTheJobsAccount) {
  const JobId job = submit(2);
  world_.send(LaunchSucceeded{m(1), "ref-1", ""});
  world_.send(LaunchSucceeded{m(2), "ref-2", ""});
  world_.wait(60s);
  world_.up(m(1));
  const Ledger& ledger = *world_.job(job).ledger;
  EXPECT_EQ(ledger.time[static_cast<std::size_t>(Use::starting)], 60s);
  EXPECT_EQ(ledger.time[static_cast<std::size_t>(Use::waiting)], 60s) << "of the one that lost";
}

TEST_F(Race, AMachineThatIsUpAlreadyIsNotRaced) {
  world_.settings.idle_timeout = 1h;
  submit(0);
  world_.up(m(1));
  world_.report(m(1), MemberPhase::running);
  world_.exited(m(1));
  world_.take();
  submit(3);
  EXPECT_TRUE(world_.takeAll<LaunchMachine>().empty());
}

}  // namespace
}  // namespace buoy::engine
