#include <gtest/gtest.h>

#include <map>

#include "engine/engine_test_support.h"

// Queues that are shared fairly.
namespace buoy::engine {
namespace {

using namespace std::chrono_literals;
using testing::m;
using testing::poolOf;
using testing::World;

class EngineShare : public ::testing::Test {
 protected:
  void fair(std::int32_t machines, FairShare rules) {
    machines_ = static_cast<std::uint64_t>(machines);
    world_.settings.lease = 24h;
    world_.send(PutPool{poolOf("p", machines)});
    world_.send(PutQueue{{.name = "q", .pools = {"p"}, .fair = std::move(rules)}});
  }
  JobId submit(std::string share, std::int32_t priority = 0) {
    return world_.submit({.queue = "q", .priority = priority, .share = std::move(share)});
  }
  void submit(int jobs, const std::string& share) {
    for (int i = 0; i < jobs; ++i) submit(share);
  }
  void up() {
    for (std::uint64_t i = 1; i <= machines_; ++i) {
      if (world_.state.machine(m(i))) world_.up(m(i));
    }
  }
  // The job on this machine runs, and ends.
  void end(MachineId machine) {
    ++ended_[ownerOf(machine)];
    world_.report(machine, MemberPhase::running);
    world_.exited(machine);
    world_.take();
  }
  std::string ownerOf(MachineId machine) {
    const JobId job = world_.state.machine(machine)->job;
    return job ? world_.job(job).request.share : "";
  }
  // Machines by share.
  std::map<std::string, int> held() {
    std::map<std::string, int> result;
    world_.state.forEachMachine([&](const Machine& machine) {
      if (machine.job) ++result[world_.job(machine.job).request.share];
    });
    return result;
  }

  World world_;
  std::uint64_t machines_ = 0;
  std::map<std::string, int> ended_;
};

TEST_F(EngineShare, TwoUsersOfWeightsOneAndThreeHaveTheMachinesOneToThree) {
  fair(16, {.weights = {{"ada", 1}, {"bob", 3}}});
  submit(400, "ada");  // she came first, with everything
  up();
  EXPECT_EQ(held()["ada"], 16) << "nobody else wants any";
  submit(400, "bob");
  // Ends come in an order that has nothing to do with the owners: every machine in turn.
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t i = 1; i <= machines_; ++i) end(m(i));
  }
  ended_.clear();
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 1; i <= machines_; ++i) {
      end(m(i));
      EXPECT_NEAR(held()["bob"], 12, 1);
    }
  }
  EXPECT_NEAR(ended_["bob"], 240, 4);
  EXPECT_NEAR(ended_["ada"], 80, 4);
}

TEST_F(EngineShare, WhatIsNotWantedGoesToOthers) {
  fair(8, {.weights = {{"ada", 1}, {"bob", 3}}});
  submit(2, "bob");
  submit(20, "ada");
  up();
  EXPECT_EQ(held(), (std::map<std::string, int>{{"ada", 6}, {"bob", 2}}));
}

TEST_F(EngineShare, PastUseCountsUntilItHasDecayed) {
  fair(2, {.decay = 10min});
  submit(2, "ada");
  up();
  world_.wait(30min);
  submit("ada");
  submit(3, "bob");
  end(m(1));
  end(m(2));
  EXPECT_EQ(held(), (std::map<std::string, int>{{"bob", 2}})) << "ada has had both for half an hour";
  world_.wait(10h);
  submit("bob");
  end(m(1));
  EXPECT_EQ(ownerOf(m(1)), "ada") << "now bob has, and hers is forgotten";
}

TEST_F(EngineShare, PriorityCountsWithinAShareOnly) {
  fair(2, {});
  submit(2, "ada");
  up();
  const JobId low = submit("ada", 1);
  const JobId high = submit("ada", 7);
  const JobId other = submit("bob", 0);
  std::vector<JobId> order;
  for (const MachineId machine : {m(1), m(2), m(1)}) {
    end(machine);
    order.push_back(world_.state.machine(machine)->job);
  }
  EXPECT_EQ(order, (std::vector<JobId>{other, high, low}));
}

TEST_F(EngineShare, SomeIsKeptForThoseWhoHaveNothing) {
  fair(8, {.reserve = 50});
  submit(20, "ada");
  EXPECT_EQ(held()["ada"], 4);
  submit("bob");
  // With two that are active only a quarter is kept.
  EXPECT_EQ(held(), (std::map<std::string, int>{{"ada", 5}, {"bob", 1}}));
  submit("eve");
  EXPECT_EQ(held(), (std::map<std::string, int>{{"ada", 5}, {"bob", 1}, {"eve", 1}}));
}

TEST_F(EngineShare, WhoIsPassedIsToldWhy) {
  fair(2, {.weights = {{"bob", 3}}});
  submit(2, "ada");
  up();
  const JobId passed = submit("ada");
  const JobId later = submit("bob");
  end(m(1));
  EXPECT_EQ(world_.state.machine(m(1))->job, later);
  EXPECT_EQ(world_.job(passed).reason,
            later.toString() +
                " goes first, though it came later: share 'bob' uses 0 cpus at weight 3; "
                "share 'ada' uses 1 cpus at weight 1");
  EXPECT_TRUE(world_.hasRecord("passed"));
}

TEST_F(EngineShare, AnArrayIsOfOneShare) {
  fair(4, {});
  world_.submit({.queue = "q", .share = "ada", .array = 100});
  up();
  world_.submit({.queue = "q", .share = "bob", .array = 100});
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 1; i <= machines_; ++i) end(m(i));
  }
  EXPECT_EQ(held(), (std::map<std::string, int>{{"ada", 2}, {"bob", 2}}));
}

TEST_F(EngineShare, AQueueBecomesFairWhileItsJobsRun) {
  fair(4, {});
  world_.send(PutQueue{{.name = "q", .pools = {"p"}}});
  submit(8, "ada");
  up();
  submit(8, "bob");
  end(m(1));
  EXPECT_EQ(held()["ada"], 4) << "in order of age";
  world_.send(PutQueue{{.name = "q", .pools = {"p"}, .fair = FairShare{}}});
  for (std::uint64_t i = 1; i <= 2; ++i) end(m(i));
  EXPECT_EQ(held()["bob"], 2);
  world_.send(PutQueue{{.name = "q", .pools = {"p"}}});
  end(m(1));
  EXPECT_EQ(ownerOf(m(1)), "ada");
}

TEST_F(EngineShare, ARestartRemembersWhoHasHadWhat) {
  fair(2, {.decay = 1h});
  submit(2, "ada");
  up();
  world_.wait(2h);
  submit(2, "ada");
  submit(4, "bob");
  end(m(1));
  end(m(2));
  ASSERT_EQ(held()["bob"], 2);
  EXPECT_FALSE(world_.state.queue("q")->used.empty());
  State again;
  world_.state.forEachJob([&](const Job& job) { again.restore(clone(job)); });
  world_.state.forEachMachine([&](const Machine& machine) { again.restore(machine); });
  again.restore(*world_.state.pool("p"));
  again.restore(*world_.state.queue("q"));
  world_.state = std::move(again);
  resume(world_.state, world_.now, world_.settings, world_.policy, world_.out);
  world_.take();
  end(m(1));
  EXPECT_EQ(ownerOf(m(1)), "bob") << "what ada had before still counts";
}

}  // namespace
}  // namespace buoy::engine
