#include "cloud/aws/ground.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cloud/aws/fake_ec2.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::cloud::aws {
namespace {

std::string subnet(const std::string& id, const std::string& zone, const std::string& vpc = "vpc-1") {
  return strCat({"<item><subnetId>", id, "</subnetId><vpcId>", vpc, "</vpcId><availabilityZone>", zone,
                 "</availabilityZone></item>"});
}

std::string routes(const std::string& destination) {
  return strCat(
      {"<routeTableSet><item><routeTableId>rtb-1</routeTableId><associationSet><item><main>true</main></item>"
       "</associationSet><routeSet><item><destinationCidrBlock>",
       destination, "</destinationCidrBlock><state>active</state></item></routeSet></item></routeTableSet>"});
}

class GroundTest : public ::testing::Test {
 protected:
  GroundTest() {
    EXPECT_TRUE(os::writeFileAtomic(directory_.path() + "/agent", "the agent"));
    config_.region = "eu-west-1";
    config_.image_id = "ami-1";
    image("x86_64");
    aws_.on("DescribeInstanceTypes", "<instanceTypeSet/>");
    aws_.on("DescribeVpcs", "<vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault></item></vpcSet>");
    aws_.on("DescribeSubnets", "<subnetSet>" + subnet("subnet-a", "eu-west-1a") +
                                   subnet("subnet-b", "eu-west-1b") + "</subnetSet>");
    aws_.on("DescribeRouteTables", routes("0.0.0.0/0"));
    aws_.on("DescribeSecurityGroups", "<securityGroupInfo/>");
    aws_.on("CreateSecurityGroup", "<groupId>sg-1</groupId>");
    aws_.on("AuthorizeSecurityGroupIngress", "<return>true</return>");
    aws_.on("DescribeKeyPairs", "<keySet/>");
    aws_.on("CreateKeyPair", "<keyName>k</keyName><keyMaterial>PRIVATE</keyMaterial>");
    aws_.on("GetInstanceProfile", [](const FakeCall&) { return ec2Refusal(404, "NoSuchEntity"); });
    for (const char* action :
         {"CreateRole", "PutRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile"})
      aws_.on(action, "");
    aws_.on("DescribeLaunchTemplates", "<launchTemplates/>");
    aws_.on("CreateLaunchTemplate",
            "<launchTemplate><launchTemplateId>lt-1</launchTemplateId></launchTemplate>");
  }
  void image(const std::string& architecture) {
    aws_.on("DescribeImages",
            strCat({"<imagesSet><item><imageId>ami-1</imageId><architecture>", architecture,
                    "</architecture><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>"
                    "<item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>8</volumeSize></ebs>"
                    "</item></blockDeviceMapping></item></imagesSet>"}));
  }
  Answer<Ground> make() {
    const buoy::aws::Environment environment{{"AWS_ACCESS_KEY_ID", "AKID"},
                                             {"AWS_SECRET_ACCESS_KEY", "secret"},
                                             {"HOME", directory_.path()},
                                             {"AWS_ENDPOINT_URL_S3", bucket_.url()}};
    const auto store = openMachineStore("s3://bucket/p", environment, clock_);
    EXPECT_TRUE(store);
    Ec2 ec2(aws_.options(clock_));
    engine::MachineType type;
    type.name = "m5.large";
    return GroundMaker(ec2, **store, options_, {}).make(config_, {type});
  }
  std::string refusal() {
    const auto ground = make();
    return ground ? "made" : ground.error().error.message;
  }
  std::string keyFile() const { return directory_.path() + "/keys/eu-west-1-k.pem"; }

  const os::TempDir directory_ = *os::TempDir::create("buoy-ground-");
  const os::SystemClock clock_;
  FakeBucket bucket_;
  FakeAws aws_;
  // Where nobody listens, so that no test asks the world for its address.
  GroundOptions options_{directory_.path(), directory_.path() + "/agent", "c1", "http://127.0.0.1:1"};
  PoolConfig config_;
};

TEST_F(GroundTest, MakesWhatAMachineNeeds) {
  const auto ground = make();
  ASSERT_TRUE(ground) << ground.error().error.message;
  EXPECT_EQ(ground->launch_template, "lt-1");
  ASSERT_EQ(ground->places.size(), 2u);
  EXPECT_EQ(ground->places[0].zone, "eu-west-1a");
  EXPECT_EQ(ground->places[0].subnet, "subnet-a");
  const auto made = aws_.calls("CreateLaunchTemplate").at(0).parameters;
  EXPECT_EQ(made.at("LaunchTemplateData.IamInstanceProfile.Name"), "buoy-c1");
  EXPECT_EQ(made.at("LaunchTemplateData.SecurityGroupId.1"), "sg-1");
  EXPECT_EQ(made.at("TagSpecification.1.Tag.1.Key"), "buoy:cluster");
  EXPECT_EQ(aws_.calls("PutRolePolicy").size(), 1u);
  EXPECT_EQ(bucket_.objects().size(), 1u) << "the agent";
  // One rule: its machines among themselves. No SSH without a key.
  ASSERT_EQ(aws_.calls("AuthorizeSecurityGroupIngress").size(), 1u);
  EXPECT_EQ(aws_.calls("AuthorizeSecurityGroupIngress")[0].parameters.at("IpPermissions.1.IpProtocol"), "-1");
}

TEST_F(GroundTest, TakesTheTemplateOfAnEarlierRunAsLongAsItsUrlWorks) {
  ASSERT_TRUE(make());
  const auto made = aws_.calls("CreateLaunchTemplate").at(0).parameters;
  const auto found = [&](const std::string& until) {
    aws_.on("DescribeLaunchTemplates",
            strCat({"<launchTemplates><item><launchTemplateId>lt-old</launchTemplateId><tagSet><item>"
                    "<key>buoy:until</key><value>",
                    until, "</value></item></tagSet></item></launchTemplates>"}));
  };
  found(formatTime(clock_.now() + std::chrono::hours{10}));
  EXPECT_EQ(make()->launch_template, "lt-old");
  EXPECT_EQ(aws_.calls("DescribeLaunchTemplates").back().parameters.at("Filter.1.Value.1"),
            made.at("LaunchTemplateName"));
  aws_.on("DeleteLaunchTemplate", "");
  found(formatTime(clock_.now() + std::chrono::minutes{5}));
  EXPECT_EQ(make()->launch_template, "lt-1");
  EXPECT_EQ(aws_.calls("DeleteLaunchTemplate").size(), 1u);
}

TEST_F(GroundTest, KeepsAKeyThatItMakesAndNeverOverwritesOne) {
  config_.key_pair = "k";
  config_.ssh_from = {"203.0.113.7/32"};
  ASSERT_TRUE(make());
  EXPECT_EQ(os::readFile(keyFile()).value(), "PRIVATE\n");
  struct stat info {};
  ASSERT_EQ(::stat(keyFile().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  // EC2 has lost it, and a file of that name is here: perhaps another's.
  EXPECT_NE(refusal().find("move it away"), std::string::npos);
  EXPECT_EQ(os::readFile(keyFile()).value(), "PRIVATE\n");
}

TEST_F(GroundTest, TakesAKeyPairThatEc2HasAsItIs) {
  config_.key_pair = "k";
  config_.ssh_from = {"203.0.113.7/32"};
  aws_.on("DescribeKeyPairs", "<keySet><item><keyName>k</keyName></item></keySet>");
  ASSERT_TRUE(make());
  EXPECT_TRUE(aws_.calls("CreateKeyPair").empty());
  const auto rules = aws_.calls("AuthorizeSecurityGroupIngress");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[1].parameters.at("IpPermissions.1.IpRanges.1.CidrIp"), "203.0.113.7/32");
}

TEST_F(GroundTest, OpensSshForTheAddressItIsAskedFromAlone) {
  config_.key_pair = "k";
  EXPECT_NE(refusal().find("set `ssh_from`"), std::string::npos);
  buoy::aws::Service caller([](const net::Request&) { return buoy::aws::answerOf("198.51.100.3\n"); });
  options_.caller_address_url = caller.url();
  ASSERT_TRUE(make());
  EXPECT_EQ(
      aws_.calls("AuthorizeSecurityGroupIngress").back().parameters.at("IpPermissions.1.IpRanges.1.CidrIp"),
      "198.51.100.3/32");
}

TEST_F(GroundTest, SaysWhatIsWrongAndWhatToDo) {
  image("arm64");
  EXPECT_EQ(refusal(), "image ami-1 is for arm64, but Buoy's agent runs on x86_64 only: name another image");
  image("x86_64");
  config_.vpc = "vpc-1";
  aws_.on("DescribeRouteTables", routes("10.0.0.0/16"));
  EXPECT_NE(refusal().find("subnet subnet-a in eu-west-1a has no route out"), std::string::npos) << refusal();
  config_.vpc = "";
  config_.zones = {"eu-west-1c"};
  EXPECT_NE(refusal().find("no subnet of vpc-1 in zone eu-west-1c"), std::string::npos) << refusal();
  config_.zones = {};
  config_.instance_profile = "theirs";
  EXPECT_NE(refusal().find("there is no instance profile 'theirs'"), std::string::npos) << refusal();
  config_.instance_profile = "";
  config_.root_volume = ByteCount{std::uint64_t{4} << 30};
  EXPECT_NE(refusal().find("at least the image's own 8 GiB"), std::string::npos) << refusal();
  config_.root_volume = {};
  aws_.on("DescribeImages", [](const FakeCall&) { return ec2Refusal(400, "InvalidAMIID.NotFound"); });
  EXPECT_NE(refusal().find("there is no image ami-1 in eu-west-1"), std::string::npos) << refusal();
  aws_.on("DescribeVpcs", "<vpcSet/>");
  image("x86_64");
  EXPECT_NE(refusal().find("no default VPC in eu-west-1"), std::string::npos) << refusal();
}

TEST_F(GroundTest, ARoleThatMayDoMoreIsItsOwn) {
  aws_.on("AttachRolePolicy", "");
  config_.buckets = {"data"};
  config_.managed_policies = {"arn:aws:iam::aws:policy/ReadOnlyAccess"};
  config_.tags = {{"Name", "machine"}, {"team", "x"}};
  ASSERT_TRUE(make()) << refusal();
  const auto made = aws_.calls("CreateLaunchTemplate").at(0).parameters;
  const std::string name = made.at("LaunchTemplateData.IamInstanceProfile.Name");
  EXPECT_TRUE(name.starts_with("buoy-c1-")) << name;
  EXPECT_EQ(made.at("TagSpecification.1.Tag.2.Value"), "buoy-c1") << "what is no machine keeps Buoy's name";
  EXPECT_EQ(aws_.calls("AttachRolePolicy").at(0).parameters.at("PolicyArn"), config_.managed_policies[0]);
  EXPECT_EQ(aws_.calls("AttachRolePolicy").at(0).parameters.at("RoleName"), name);
  EXPECT_NE(aws_.calls("PutRolePolicy").at(0).parameters.at("PolicyDocument").find("arn:aws:s3:::data/*"),
            std::string::npos);
}

TEST_F(GroundTest, GoesOnWhereAnswersWereLost) {
  aws_.on("CreateSecurityGroup", [this](const FakeCall&) {
    aws_.on(
        "DescribeSecurityGroups",
        "<securityGroupInfo><item><groupId>sg-9</groupId><vpcId>vpc-1</vpcId></item></securityGroupInfo>");
    return ec2Refusal(400, "InvalidGroup.Duplicate");
  });
  aws_.on("CreateRole", [](const FakeCall&) { return ec2Refusal(409, "EntityAlreadyExists"); });
  aws_.on("AddRoleToInstanceProfile", [](const FakeCall&) { return ec2Refusal(409, "LimitExceeded"); });
  ASSERT_TRUE(make()) << refusal();
  EXPECT_EQ(aws_.calls("CreateLaunchTemplate").at(0).parameters.at("LaunchTemplateData.SecurityGroupId.1"),
            "sg-9");
}

TEST(DescribeInstances, ReadsAllPages) {
  const os::SystemClock clock;
  FakeAws aws;
  aws.on("DescribeInstances", [](const FakeCall& call) {
    const auto token = call.parameters.find("NextToken");
    const int page = token == call.parameters.end() ? 1 : std::stoi(token->second);
    return buoy::aws::answerOf(ec2Answer(
        "DescribeInstances",
        strCat(
            {"<reservationSet><item><instancesSet><item><instanceId>i-", std::to_string(page),
             "</instanceId></item></instancesSet></item></reservationSet>",
             page < 3 ? strCat({"<nextToken>", std::to_string(page + 1), "</nextToken>"}) : std::string()})));
  });
  Ec2 ec2(aws.options(clock));
  std::vector<std::string> ids;
  ASSERT_TRUE(ec2.describeInstances({},
                                    [&](std::vector<Instance> page) {
                                      for (const Instance& each : page) ids.push_back(each.id);
                                    },
                                    {}));
  EXPECT_EQ(ids, (std::vector<std::string>{"i-1", "i-2", "i-3"}));
  EXPECT_EQ(aws.calls("DescribeInstances")[0].parameters.at("MaxResults"), "1000");
}

}  // namespace
}  // namespace buoy::cloud::aws
