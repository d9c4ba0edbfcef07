#include "cloud/aws/roster.h"

#include <gtest/gtest.h>

#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

using engine::GoneReason;
using std::chrono::seconds;

constexpr const char* kRosterCluster = "c1";
constexpr const char* kAccount = "/eu-west-1";
const MachineId kMachine{7};
const Time kFirstLook{seconds{1'700'000'000}};

Instance instance(const std::string& id, InstanceState state, MachineId machine = kMachine) {
  Instance made;
  made.id = id;
  made.type = "m5.large";
  made.zone = "eu-west-1a";
  made.state = state;
  made.private_address = "10.0.0.7";
  made.spot = true;
  made.launched = kFirstLook;
  made.tags = {{kClusterTag, kRosterCluster}, {kMachineTag, machine.toString()}, {kPoolTag, "p"}};
  return made;
}

class RosterTest : public ::testing::Test {
 protected:
  LaunchRequest request() const {
    LaunchRequest request;
    request.machine = kMachine;
    request.pool = "p";
    request.type.name = "m5.large";
    return request;
  }
  Roster::Outcome see(const std::vector<Instance>& instances, Duration later = seconds{1}) {
    now_ += later;
    Roster::Outcome out;
    roster_.see(kAccount, instances, now_, out);
    roster_.concludeMissing({kAccount}, true, now_, out);
    return out;
  }
  void launched(const std::string& id = "i-1") {
    EXPECT_TRUE(roster_.beginLaunch(request(), now_));
    Roster::Outcome out;
    roster_.launchedAs(kMachine, kAccount, {id, "m5.large", "eu-west-1a"}, now_, out);
  }
  template <class Event>
  static std::optional<Event> only(const Roster::Outcome& out) {
    const Event* event = out.events.size() == 1 ? std::get_if<Event>(&out.events.front()) : nullptr;
    return event == nullptr ? std::nullopt : std::optional(*event);
  }

  Roster roster_{kRosterCluster};
  Time now_ = kFirstLook;
};

TEST_F(RosterTest, LaunchesAMachineOnce) {
  EXPECT_TRUE(roster_.beginLaunch(request(), now_));
  EXPECT_FALSE(roster_.beginLaunch(request(), now_));
  roster_.launchFailed(kMachine);
  EXPECT_TRUE(roster_.beginLaunch(request(), now_)) << "a launch that failed may be tried again";
}

TEST_F(RosterTest, TellsTheAddressOnceWhenEc2ShowsIt) {
  launched();
  EXPECT_TRUE(roster_.restless());
  Instance early = instance("i-1", InstanceState::pending);
  early.private_address = "";
  EXPECT_TRUE(see({early}).events.empty());
  const auto out = see({instance("i-1", InstanceState::running)});
  const auto up = only<engine::LaunchSucceeded>(out);
  ASSERT_TRUE(up);
  EXPECT_EQ(up->address, "10.0.0.7");
  EXPECT_EQ(up->since, kFirstLook);
  EXPECT_EQ(up->type, "m5.large");
  EXPECT_TRUE(see({instance("i-1", InstanceState::running)}).events.empty());
  EXPECT_FALSE(roster_.restless());
}

TEST_F(RosterTest, TellsAReclaimFromATermination) {
  launched();
  see({instance("i-1", InstanceState::running)});
  Instance ended = instance("i-1", InstanceState::shutting_down);
  ended.reason_code = "Server.SpotInstanceTermination";
  ended.transition_reason = "Server.SpotInstanceTermination (2023-11-14 22:30:00 GMT)";
  const auto out = see({ended});
  const auto gone = only<engine::MachineGone>(out);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::reclaimed);
  EXPECT_FALSE(gone->charged);
  EXPECT_EQ(gone->since, kFirstLook);
  EXPECT_EQ(gone->until, *parseTime("2023-11-14T22:30:00Z"));
  ended.state = InstanceState::terminated;
  EXPECT_TRUE(see({ended}).events.empty()) << "it is told once";
  EXPECT_TRUE(roster_.machines().empty());
}

TEST_F(RosterTest, EndsAMachineThatWasGivenUpWhileItWasLaunched) {
  EXPECT_TRUE(roster_.beginLaunch(request(), now_));
  Roster::Outcome out;
  roster_.terminate(kMachine, now_, out);
  EXPECT_TRUE(out.terminate.empty());
  EXPECT_TRUE(see({}, seconds{300}).events.empty()) << "nothing is known before the launch has answered";
  roster_.launchedAs(kMachine, kAccount, {"i-1", "m5.large", "eu-west-1a"}, now_, out);
  EXPECT_EQ(out.terminate[kAccount], std::vector<std::string>{"i-1"});
  Instance ended = instance("i-1", InstanceState::terminated);
  ended.reason_code = "Client.UserInitiatedShutdown";
  const auto gone = only<engine::MachineGone>(see({ended}));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::terminated);
}

TEST_F(RosterTest, OrdersAnEndUntilEc2HasTakenTheOrder) {
  launched();
  Roster::Outcome out;
  roster_.terminate(kMachine, now_, out);
  EXPECT_EQ(out.terminate[kAccount].size(), 1u);
  EXPECT_EQ(see({instance("i-1", InstanceState::running)}).terminate[kAccount].size(), 1u);
  roster_.terminated({"i-1"});
  EXPECT_TRUE(see({instance("i-1", InstanceState::running)}).terminate.empty());
}

TEST_F(RosterTest, FindsTheMachinesOfAnEarlierRun) {
  const auto out = see({instance("i-1", InstanceState::running)});
  ASSERT_TRUE(only<engine::LaunchSucceeded>(out));
  EXPECT_FALSE(roster_.beginLaunch(request(), now_)) << "it exists";
  EXPECT_EQ(roster_.find(kMachine)->instance, "i-1");
}

TEST_F(RosterTest, LeavesOtherClustersAlone) {
  Instance other = instance("i-1", InstanceState::running);
  other.tags[0].value = "another";
  const auto out = see({other});
  EXPECT_TRUE(out.events.empty() && out.terminate.empty());
  EXPECT_TRUE(roster_.machines().empty());
}

TEST_F(RosterTest, EndsTheYoungerOfTwoThatClaimToBeOneMachine) {
  Instance younger = instance("i-2", InstanceState::running);
  younger.launched += seconds{5};
  const auto out = see({younger, instance("i-1", InstanceState::running)});
  EXPECT_EQ(out.terminate.at(kAccount), std::vector<std::string>{"i-2"});
  EXPECT_EQ(roster_.find(kMachine)->instance, "i-1");
}

TEST_F(RosterTest, WaitsForWhatEc2ShowsLate) {
  launched();
  EXPECT_TRUE(see({}, seconds{30}).events.empty());
  EXPECT_TRUE(see({}, seconds{29}).events.empty());
  const auto gone = only<engine::MachineGone>(see({}, seconds{2}));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::vanished);
}

TEST_F(RosterTest, AnswersQueries) {
  launched();
  see({instance("i-1", InstanceState::running)});
  roster_.query(kMachine, now_);
  EXPECT_TRUE(roster_.restless());
  EXPECT_TRUE(only<engine::MachineAlive>(see({instance("i-1", InstanceState::running)})));
  EXPECT_TRUE(see({instance("i-1", InstanceState::running)}).events.empty());

  roster_.query(MachineId{99}, now_);
  EXPECT_TRUE(see({instance("i-1", InstanceState::running)}).events.empty());
  const auto gone = only<engine::MachineGone>(see({instance("i-1", InstanceState::running)}, seconds{20}));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->machine, MachineId{99});
}

TEST_F(RosterTest, SaysNothingIsGoneWhereItDidNotLook) {
  launched();
  Roster::Outcome out;
  roster_.concludeMissing({}, false, now_ + std::chrono::hours{1}, out);
  EXPECT_TRUE(out.events.empty());
}

TEST_F(RosterTest, TellsAnEndThatWasAskedForAsAReclaim) {
  launched();
  see({instance("i-1", InstanceState::running)});
  Roster::Outcome out;
  roster_.reclaim(kMachine, now_, out);
  EXPECT_EQ(out.terminate[kAccount].size(), 1u);
  Instance ended = instance("i-1", InstanceState::shutting_down);
  ended.reason_code = "Client.UserInitiatedShutdown";
  const auto gone = only<engine::MachineGone>(see({ended}));
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::reclaimed);
  EXPECT_TRUE(gone->charged) << "to EC2 it was given back";
}

}  // namespace
}  // namespace buoy::cloud::aws
