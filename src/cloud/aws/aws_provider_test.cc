#include "cloud/aws/aws_provider.h"

#include <gtest/gtest.h>
#include <atomic>

#include <condition_variable>
#include <mutex>

#include "cloud/aws/fake_ec2.h"
#include "cloud/aws/names.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::cloud::aws {
namespace {

using engine::GoneReason;
using engine::LaunchError;

constexpr Duration kLimit = std::chrono::seconds{60};

// What the provider says, waited for.
class Events {
 public:
  Provider::EventSink sink() {
    return [this](engine::Event event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      arrived_.notify_all();
    };
  }
  // The first of this kind for which `is` holds.
  template <class Event>
  std::optional<Event> await(const std::function<bool(const Event&)>& is = {}) {
    std::unique_lock lock(mutex_);
    std::optional<Event> found;
    arrived_.wait_for(lock, kLimit, [&] {
      for (const engine::Event& event : events_) {
        const Event* right = std::get_if<Event>(&event);
        if (right != nullptr && (!is || is(*right))) {
          found = *right;
          return true;
        }
      }
      return false;
    });
    return found;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<engine::Event> events_;
};

struct FakeInstance {
  std::string id, machine, group, type, zone, state = "running", reason, token;
};

class AwsProviderTest : public ::testing::Test {
 protected:
  AwsProviderTest() {
    EXPECT_TRUE(os::writeFileAtomic(agent(), "the agent"));
    aws_.on("GetParameter",
            [](const FakeCall&) { return buoy::aws::answerOf(R"({"Parameter": {"Value": "ami-1"}})"); });
    aws_.on("DescribeImages",
            "<imagesSet><item><imageId>ami-1</imageId><architecture>x86_64</architecture>"
            "<rootDeviceName>/dev/xvda</rootDeviceName></item></imagesSet>");
    aws_.on("DescribeInstanceTypes", "<instanceTypeSet/>");
    aws_.on("DescribeVpcs", "<vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault></item></vpcSet>");
    aws_.on("DescribeSubnets",
            "<subnetSet><item><subnetId>subnet-a</subnetId><vpcId>vpc-1</vpcId>"
            "<availabilityZone>eu-west-1a</availabilityZone></item><item><subnetId>subnet-b</subnetId>"
            "<vpcId>vpc-1</vpcId><availabilityZone>eu-west-1b</availabilityZone></item></subnetSet>");
    aws_.on("DescribeSecurityGroups", "<securityGroupInfo/>");
    aws_.on("CreateSecurityGroup", "<groupId>sg-1</groupId>");
    aws_.on("AuthorizeSecurityGroupIngress", "<return>true</return>");
    aws_.on("GetInstanceProfile", [](const FakeCall&) {
      return buoy::aws::answerOf(
          "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile>"
          "<InstanceProfileName>buoy-c1</InstanceProfileName><Roles><member><RoleName>buoy-c1</RoleName></"
          "member>"
          "</Roles></InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>");
    });
    aws_.on("DescribeLaunchTemplates", "<launchTemplates/>");
    aws_.on("CreateLaunchTemplate",
            "<launchTemplate><launchTemplateId>lt-1</launchTemplateId><latestVersionNumber>1</"
            "latestVersionNumber>"
            "</launchTemplate>");
    aws_.on("DescribeSpotPriceHistory", "<spotPriceHistorySet/>");
    aws_.on("CreateFleet", [this](const FakeCall& call) { return createFleet(call); });
    aws_.on("DescribeInstances", [this](const FakeCall&) { return describe(); });
    aws_.on("TerminateInstances", [this](const FakeCall& call) { return terminate(call); });
  }

  std::string agent() const { return directory_.path() + "/agent"; }

  std::unique_ptr<Provider> provider() {
    AwsOptions options{.state_dir = directory_.path(),
                       .agent_path = agent(),
                       .store = "s3://bucket/prefix",
                       .clock = clock_,
                       .cluster = "c1",
                       .environment = {{"AWS_ACCESS_KEY_ID", "AKID"},
                                       {"AWS_SECRET_ACCESS_KEY", "secret"},
                                       {"HOME", directory_.path()},
                                       {"AWS_ENDPOINT_URL", aws_.url()},
                                       {"AWS_ENDPOINT_URL_S3", bucket_.url()}}};
    options.look_soon = options.look_every = options.prices_every = std::chrono::milliseconds{20};
    return makeAwsProvider(std::move(options), events_.sink());
  }

  LaunchRequest request(std::uint64_t id) const {
    LaunchRequest request;
    request.machine = MachineId{id};
    request.pool = "p";
    request.provider_config = R"({"region": "eu-west-1"})";
    request.type.name = "m5.large";
    request.type.on_demand_price = PricePerHour{100'000'000};
    engine::MachineType larger = request.type;
    larger.name = "m5.xlarge";
    request.alternatives = {larger};
    request.agent_config = R"({"token": "m7.secret"})";
    return request;
  }

  net::Response createFleet(const FakeCall& call) {
    const auto value = [&](const std::string& name) {
      const auto found = call.parameters.find(name);
      return found == call.parameters.end() ? std::string() : found->second;
    };
    auto instances = instances_.lock();
    FakeInstance made;
    made.token = value("ClientToken");
    for (const FakeInstance& known : *instances) {
      if (known.token == made.token) return fleetAnswer(known);
    }
    made.id = "i-" + std::to_string(instances->size() + 1);
    made.type = value("LaunchTemplateConfigs.1.Overrides.1.InstanceType");
    made.zone =
        value("LaunchTemplateConfigs.1.Overrides.1.SubnetId") == "subnet-a" ? "eu-west-1a" : "eu-west-1b";
    for (int n = 1; n < 20; ++n) {
      const std::string tag = "TagSpecification.1.Tag." + std::to_string(n);
      if (value(tag + ".Key") == kMachineTag) made.machine = value(tag + ".Value");
      if (value(tag + ".Key") == kGroupTag) made.group = value(tag + ".Value");
    }
    instances->push_back(made);
    return fleetAnswer(made);
  }
  static net::Response fleetAnswer(const FakeInstance& made) {
    return buoy::aws::answerOf(
        ec2Answer("CreateFleet",
                  strCat({"<fleetInstanceSet><item><launchTemplateAndOverrides><overrides><instanceType>",
                          made.type, "</instanceType><availabilityZone>", made.zone,
                          "</availabilityZone></overrides></launchTemplateAndOverrides><instanceIds><item>",
                          made.id, "</item></instanceIds></item></fleetInstanceSet>"})));
  }
  net::Response describe() {
    std::string text = "<reservationSet><item><instancesSet>";
    for (const FakeInstance& each : *instances_.lock()) {
      text += strCat(
          {"<item><instanceId>", each.id, "</instanceId><instanceState><name>", each.state,
           "</name></instanceState><stateReason><code>", each.reason, "</code></stateReason><instanceType>",
           each.type, "</instanceType><placement><availabilityZone>", each.zone,
           "</availabilityZone></placement><privateIpAddress>10.0.0.7</privateIpAddress>"
           "<launchTime>2026-11-21T10:00:00.000Z</launchTime><instanceLifecycle>spot</instanceLifecycle>"
           "<tagSet><item><key>buoy:cluster</key><value>c1</value></item><item><key>buoy:machine</"
           "key><value>",
           each.machine, "</value></item></tagSet></item>"});
    }
    return buoy::aws::answerOf(
        ec2Answer("DescribeInstances", text + "</instancesSet></item></reservationSet>"));
  }
  net::Response terminate(const FakeCall& call) {
    for (FakeInstance& each : *instances_.lock()) {
      for (const auto& [name, value] : call.parameters) {
        if (!name.starts_with("InstanceId.") || value != each.id) continue;
        each.state = "shutting-down";
        each.reason = "Client.UserInitiatedShutdown";
      }
    }
    return buoy::aws::answerOf(ec2Answer("TerminateInstances", "<instancesSet/>"));
  }
  void failFleet(const std::string& code) {
    aws_.on(
        "CreateFleet",
        strCat({"<errorSet><item><launchTemplateAndOverrides><overrides><instanceType>m5.large</instanceType>"
                "<availabilityZone>eu-west-1a</availabilityZone></overrides></launchTemplateAndOverrides>"
                "<errorCode>",
                code, "</errorCode><errorMessage>None.</errorMessage></item></errorSet>"}));
  }

  const os::TempDir directory_ = *os::TempDir::create("buoy-aws-");
  const os::SystemClock clock_;
  Synchronized<std::vector<FakeInstance>> instances_;
  FakeBucket bucket_;
  Events events_;
  FakeAws aws_;
};

TEST_F(AwsProviderTest, LaunchesAMachineAndLaysItsConfigurationForIt) {
  const auto provider = this->provider();
  provider->launch(request(7));
  const auto up = events_.await<engine::LaunchSucceeded>([](const auto& e) { return !e.address.empty(); });
  ASSERT_TRUE(up);
  EXPECT_EQ(up->machine, MachineId{7});
  EXPECT_EQ(up->provider_ref, "i-1");
  EXPECT_EQ(up->since, *parseTime("2026-11-21T10:00:00Z"));
  const auto objects = bucket_.objects();
  const auto boot = objects.find("/bucket/prefix/c1/boot/i-1.json");
  ASSERT_NE(boot, objects.end());
  EXPECT_NE(boot->second.find("m7.secret"), std::string::npos);
  EXPECT_NE(boot->second.find("\"notice_service\":\"ec2\""), std::string::npos);
}

TEST_F(AwsProviderTest, OffersEveryTypeInEveryZoneAtOnce) {
  const auto provider = this->provider();
  provider->launch(request(7));
  ASSERT_TRUE(events_.await<engine::LaunchSucceeded>());
  const auto fleet = aws_.calls("CreateFleet").at(0).parameters;
  const std::string at = "LaunchTemplateConfigs.1.Overrides.";
  EXPECT_EQ(fleet.at(at + "1.InstanceType"), "m5.large");
  EXPECT_EQ(fleet.at(at + "1.SubnetId"), "subnet-a");
  EXPECT_EQ(fleet.at(at + "4.InstanceType"), "m5.xlarge");
  EXPECT_EQ(fleet.at(at + "4.SubnetId"), "subnet-b");
  EXPECT_EQ(fleet.at("SpotOptions.AllocationStrategy"), "price-capacity-optimized");
  EXPECT_EQ(fleet.at("Type"), "instant");
  EXPECT_EQ(fleet.at("ClientToken"), "buoy-c1-m7a");
  const auto made = aws_.calls("CreateLaunchTemplate").at(0).parameters;
  EXPECT_EQ(made.at("LaunchTemplateData.MetadataOptions.HttpTokens"), "required");
  EXPECT_EQ(made.at("LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit"), "1");
}

TEST_F(AwsProviderTest, PreparesOnceForManyMachines) {
  const auto provider = this->provider();
  for (std::uint64_t id = 1; id <= 30; ++id) provider->launch(request(id));
  for (std::uint64_t id = 1; id <= 30; ++id) {
    ASSERT_TRUE(
        events_.await<engine::LaunchSucceeded>([&](const auto& e) { return e.machine == MachineId{id}; }));
  }
  EXPECT_EQ(aws_.calls("CreateFleet").size(), 30u);
  EXPECT_EQ(aws_.calls("CreateLaunchTemplate").size(), 1u);
  EXPECT_EQ(aws_.calls("CreateSecurityGroup").size(), 1u);
}

TEST_F(AwsProviderTest, SaysWhatWasTriedWhenThereIsNothing) {
  failFleet("InsufficientInstanceCapacity");
  const auto provider = this->provider();
  provider->launch(request(7));
  auto failed = events_.await<engine::LaunchFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error, LaunchError::capacity);
  EXPECT_EQ(failed->message,
            "EC2 has no machine: InsufficientInstanceCapacity for m5.large in eu-west-1a: None (allow more "
            "types or "
            "zones in the pool, or wait)");
  // It is asked last from now on, and so is offered apart from the others.
  provider->launch(request(8));
  ASSERT_TRUE(events_.await<engine::LaunchFailed>([](const auto& e) { return e.machine == MachineId{8}; }));
  const auto calls = aws_.calls("CreateFleet");
  ASSERT_GE(calls.size(), 2u);
  EXPECT_EQ(calls[1].parameters.at("ClientToken"), "buoy-c1-m8a");
  EXPECT_EQ(calls[1].parameters.count("LaunchTemplateConfigs.1.Overrides.4.InstanceType"), 0u);
}

TEST_F(AwsProviderTest, TellsWhatKeepsItFromLaunching) {
  failFleet("SpotMaxPriceTooLow");
  const auto provider = this->provider();
  provider->launch(request(7));
  EXPECT_EQ(events_.await<engine::LaunchFailed>()->error, LaunchError::price);
  aws_.on("CreateFleet", [](const FakeCall&) { return ec2Refusal(403, "UnauthorizedOperation", "No."); });
  provider->launch(request(8));
  const auto refused =
      events_.await<engine::LaunchFailed>([](const auto& e) { return e.machine == MachineId{8}; });
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error, LaunchError::invalid);
  EXPECT_NE(refused->message.find("buoy aws policy"), std::string::npos);
}

TEST_F(AwsProviderTest, NeverMakesASecondMachineWhenTheAnswerIsLost) {
  int calls = 0;
  aws_.on("CreateFleet", [&](const FakeCall& call) {
    net::Response made = createFleet(call);
    return ++calls == 1 ? ec2Refusal(500, "InternalError") : made;
  });
  const auto provider = this->provider();
  provider->launch(request(7));
  ASSERT_TRUE(events_.await<engine::LaunchSucceeded>());
  EXPECT_EQ(instances_.lock()->size(), 1u);
}

TEST_F(AwsProviderTest, FindsWhatAnEarlierRunMadeWithOtherParameters) {
  instances_.lock()->push_back({"i-9", "m7", "", "m5.large", "eu-west-1a", "running", "", "buoy-c1-m7a"});
  aws_.on("CreateFleet", [](const FakeCall&) { return ec2Refusal(400, "IdempotentParameterMismatch"); });
  const auto provider = this->provider();
  provider->launch(request(7));
  const auto up = events_.await<engine::LaunchSucceeded>();
  ASSERT_TRUE(up);
  EXPECT_EQ(up->provider_ref, "i-9");
}

TEST_F(AwsProviderTest, EndsAMachineAndSaysWhenItIsGone) {
  const auto provider = this->provider();
  provider->launch(request(7));
  ASSERT_TRUE(events_.await<engine::LaunchSucceeded>());
  provider->terminate(MachineId{7});
  const auto gone = events_.await<engine::MachineGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::terminated);
  EXPECT_EQ(aws_.calls("TerminateInstances").at(0).parameters.at("InstanceId.1"), "i-1");
}

TEST_F(AwsProviderTest, SaysWhenTheMarketTakesAMachine) {
  const auto provider = this->provider();
  provider->launch(request(7));
  ASSERT_TRUE(events_.await<engine::LaunchSucceeded>([](const auto& e) { return !e.address.empty(); }));
  {
    auto instances = instances_.lock();
    instances->at(0).state = "shutting-down";
    instances->at(0).reason = "Server.SpotInstanceTermination";
  }
  const auto gone = events_.await<engine::MachineGone>();
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->reason, GoneReason::reclaimed);
}

TEST_F(AwsProviderTest, FindsItsMachinesAgainAfterARestart) {
  {
    const auto first = provider();
    first->launch(request(7));
    ASSERT_TRUE(events_.await<engine::LaunchSucceeded>());
  }
  const auto second = provider();
  const auto machines = second->list({});
  ASSERT_TRUE(machines) << machines.error().message;
  ASSERT_EQ(machines->size(), 1u);
  EXPECT_EQ((*machines)[0].machine, MachineId{7});
  EXPECT_EQ((*machines)[0].provider_ref, "i-1");
  second->query(MachineId{7});
  EXPECT_TRUE(events_.await<engine::MachineAlive>());
}

TEST_F(AwsProviderTest, KeepsAGangInOneZone) {
  const auto provider = this->provider();
  LaunchRequest first = request(1), second = request(2);
  first.group = second.group = "j1";
  provider->launch(first);
  ASSERT_TRUE(events_.await<engine::LaunchSucceeded>());
  provider->launch(second);
  ASSERT_TRUE(
      events_.await<engine::LaunchSucceeded>([](const auto& e) { return e.machine == MachineId{2}; }));
  const auto fleet = aws_.calls("CreateFleet").at(1).parameters;
  const std::string at = "LaunchTemplateConfigs.1.Overrides.";
  EXPECT_EQ(fleet.at(at + "1.SubnetId"), "subnet-a");
  EXPECT_EQ(fleet.at(at + "2.SubnetId"), "subnet-a");
  EXPECT_EQ(fleet.count(at + "3.SubnetId"), 0u);
}

TEST_F(AwsProviderTest, TellsThePricesOfItsPools) {
  aws_.on("DescribeSpotPriceHistory",
          "<spotPriceHistorySet><item><instanceType>m5.large</instanceType><spotPrice>0.03</spotPrice>"
          "<timestamp>2026-11-21T09:00:00Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>"
          "<item><instanceType>m5.large</instanceType><spotPrice>0.02</spotPrice>"
          "<timestamp>2026-11-21T09:00:00Z</timestamp><availabilityZone>eu-west-1b</availabilityZone></item>"
          "</spotPriceHistorySet>");
  const auto provider = this->provider();
  engine::Pool pool{.name = "p", .provider = "aws", .types = {request(7).type}};
  pool.provider_config = request(7).provider_config;
  provider->offers({pool});
  const auto isOffer = [](const auto& e) { return e.offers_only; };
  const auto offer = events_.await<engine::PriceChanged>(isOffer);
  ASSERT_TRUE(offer) << "before any machine was asked for";
  EXPECT_EQ(offer->pool, "p");
  EXPECT_EQ(offer->spot_price, PricePerHour{20'000'000}) << "the lowest of the zones";
  EXPECT_TRUE(aws_.calls("DescribeInstances").empty()) << "nothing was launched there";
  events_.forget();
  pool.types[0].spot_price = PricePerHour{500'000'000};
  provider->offers({pool});
  ASSERT_TRUE(events_.await<engine::PriceChanged>(isOffer)) << "somebody has put another price there";
  pool.types[0].spot_price = PricePerHour{20'000'000};
  provider->offers({pool});
  provider->launch(request(7));
  const auto own =
      events_.await<engine::PriceChanged>([](const auto& e) { return e.machine == MachineId{7}; });
  ASSERT_TRUE(own);
  EXPECT_EQ(own->spot_price, PricePerHour{30'000'000}) << "that of its own zone";
}

TEST_F(AwsProviderTest, AsksForThePricesOfEachTypeWhereOneIsNone) {
  std::atomic<int> refused = 0;
  aws_.on("DescribeSpotPriceHistory", [&](const FakeCall& call) {
    if (call.parameters.contains("InstanceType.2") || call.parameters.at("InstanceType.1") == "m5.none") {
      ++refused;
      return ec2Refusal(400, "InvalidParameterValue");
    }
    return buoy::aws::answerOf(ec2Answer(
        "DescribeSpotPriceHistory",
        "<spotPriceHistorySet><item><instanceType>m5.large</instanceType><spotPrice>0.03</spotPrice>"
        "<timestamp>2026-11-21T09:00:00Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>"
        "</spotPriceHistorySet>"));
  });
  const auto provider = this->provider();
  engine::Pool pool{.name = "p", .provider = "aws", .types = {request(7).type, {.name = "m5.none"}}};
  pool.provider_config = request(7).provider_config;
  provider->offers({pool});
  ASSERT_TRUE(events_.await<engine::PriceChanged>());
  EXPECT_GE(refused, 2);
}

TEST_F(AwsProviderTest, HasNothingToSayWhereItNeverWas) {
  const auto provider = this->provider();
  EXPECT_TRUE(provider->list({}).value().empty());
  provider->terminate(MachineId{7});
  EXPECT_TRUE(events_.await<engine::MachineGone>());
  EXPECT_TRUE(aws_.calls("DescribeInstances").empty());
}

TEST_F(AwsProviderTest, RefusesAConfigurationThatCannotWork) {
  const auto provider = this->provider();
  LaunchRequest wrong = request(7);
  wrong.provider_config = "{}";
  provider->launch(wrong);
  EXPECT_EQ(events_.await<engine::LaunchFailed>()->error, LaunchError::invalid);
  LaunchRequest arm = request(8);
  aws_.on("DescribeImages",
          "<imagesSet><item><imageId>ami-1</imageId><architecture>arm64</architecture></item></imagesSet>");
  provider->launch(arm);
  const auto refused =
      events_.await<engine::LaunchFailed>([](const auto& e) { return e.machine == MachineId{8}; });
  ASSERT_TRUE(refused);
  EXPECT_NE(refused->message.find("image ami-1 is for arm64"), std::string::npos) << refused->message;
}

}  // namespace
}  // namespace buoy::cloud::aws
