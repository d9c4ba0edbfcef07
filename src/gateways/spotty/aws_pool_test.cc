#include "gateways/spotty/aws_pool.h"

#include <gtest/gtest.h>

#include "api/config.h"

namespace buoy::gateways::spotty {
namespace {

const char* const kOnAws = R"(
project: {name: Digits}
containers: [{projectDir: /workspace, image: busybox}]
instances:
  - name: big
    provider: aws
    parameters:
      region: eu-west-1
      availabilityZone: eu-west-1b
      subnetId: subnet-0123
      instanceType: g5.xlarge
      spotInstance: true
      maxPrice: 0.5
      amiId: ami-0123
      rootVolumeSize: 60
      managedPolicyArns: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]
)";

struct OnAws {
  Project project = parseProject({"spotty.yaml", kOnAws}).value();
  const Instance& instance = project.instances.front();
  Parameters parameters = readParameters(project, instance, {"spotty.yaml", kOnAws}).value();
  AwsFacts facts{.type = {"g5.xlarge", {4000, 1, ByteCount{16ull << 30}}, {1'006'000'000}, {450'000'000}},
                 .image = {},
                 .bucket = "spotty-digits-abcdefghijkl-eu-west-1"};
};

TEST(SpottyAwsPool, HasWhatTheParametersSayBySpottysNames) {
  const OnAws on;
  const auto config = awsConfigOf(on.project, on.instance, on.parameters, on.facts);
  EXPECT_TRUE(cloud::aws::checkPoolConfig(config).empty());
  EXPECT_EQ(config.zones, std::vector<std::string>{"eu-west-1b"});
  EXPECT_EQ(config.subnets, std::vector<std::string>{"subnet-0123"});
  EXPECT_EQ(config.image_id, "ami-0123");
  EXPECT_EQ(config.key_pair, "spotty-key-digits-eu-west-1");
  EXPECT_EQ(config.root_volume.value, 60ull << 30);
  EXPECT_EQ(config.max_price.nano_usd, 500'000'000);
  EXPECT_EQ(config.buckets, std::vector<std::string>{on.facts.bucket});
  EXPECT_EQ(config.managed_policies.size(), 1u);
  EXPECT_EQ(config.tags.at("Name"), "digits-big");
}

TEST(SpottyAwsPool, AProfileOfOnesOwnIsNamedAndNoRoleIsMade) {
  OnAws on;
  on.parameters.instance_profile_arn = "arn:aws:iam::123456789012:instance-profile/mine";
  const auto config = awsConfigOf(on.project, on.instance, on.parameters, on.facts);
  EXPECT_EQ(config.instance_profile, "mine");
  EXPECT_TRUE(config.buckets.empty() && config.managed_policies.empty());
  EXPECT_TRUE(cloud::aws::checkPoolConfig(config).empty());
}

TEST(SpottyAwsPool, IsAPoolThatTheServerTakes) {
  const OnAws on;
  const engine::Pool pool = awsPoolOf(on.project, on.instance, on.parameters, on.facts);
  EXPECT_TRUE(pool.spot && !pool.on_demand);
  const auto read = api::parsePoolJson(api::toJson(pool));
  ASSERT_TRUE(read) << read.error().front().toString();
  EXPECT_EQ(cloud::aws::parsePoolConfig(read->provider_config).value(),
            awsConfigOf(on.project, on.instance, on.parameters, on.facts));
}

}  // namespace
}  // namespace buoy::gateways::spotty
