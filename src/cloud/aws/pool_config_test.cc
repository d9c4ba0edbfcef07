#include "cloud/aws/pool_config.h"

#include <gtest/gtest.h>

#include <functional>

namespace buoy::cloud::aws {
namespace {

PoolConfig minimal() {
  PoolConfig config;
  config.region = "eu-west-1";
  return config;
}

PoolConfig full() {
  PoolConfig config = minimal();
  config.profile = "work";
  config.zones = {"eu-west-1a", "eu-west-1b"};
  config.image_name = "my image";
  config.image_owner = "self";
  config.vpc = "vpc-0123456789abcdef0";
  config.subnets = {"subnet-1", "subnet-2"};
  config.key_pair = "key";
  config.ssh_from = {"203.0.113.0/24"};
  config.instance_profile = "profile";
  config.root_volume = ByteCount{std::uint64_t{50} << 30};
  config.commands = "yum install -y 'x'\n";
  config.tags = {{"team", "a b"}};
  config.max_price = PricePerHour{123'456'789};
  config.spread_gangs = true;
  return config;
}

TEST(PoolConfig, IsKeptAsItIs) {
  for (const PoolConfig& config : {minimal(), full()})
    EXPECT_EQ(parsePoolConfig(toJson(config)).value(), config);
}

TEST(PoolConfig, IsRefusedIfItIsSomethingElse) {
  for (const char* text : {"", "[]", "{}", "{\"region\": 7}", "{\"region\": \"eu-west-1\", \"zones\": \"a\"}",
                           "{\"region\": \"eu-west-1\", \"max_price\": -1}"}) {
    const auto config = parsePoolConfig(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, ErrorCode::invalid_argument);
  }
}

TEST(PoolConfig, NamesWhatIsWrong) {
  const auto problemOf = [](const std::function<void(PoolConfig&)>& change) {
    PoolConfig config = minimal();
    change(config);
    const auto problems = checkPoolConfig(config);
    return problems.size() == 1 ? problems.front().key : std::to_string(problems.size()) + " problems";
  };
  EXPECT_EQ(problemOf([](auto& c) { c.region = ""; }), "region");
  EXPECT_EQ(problemOf([](auto& c) { c.region = "EU West"; }), "region");
  EXPECT_EQ(problemOf([](auto& c) { c.zones = {"us-east-1a"}; }), "zones");
  EXPECT_EQ(problemOf([](auto& c) { c.image_id = "ami-1", c.image_name = "n"; }), "image");
  EXPECT_EQ(problemOf([](auto& c) { c.image_id = "my image"; }), "image");
  EXPECT_EQ(problemOf([](auto& c) { c.image_owner = "self"; }), "image");
  EXPECT_EQ(problemOf([](auto& c) { c.vpc = "default"; }), "vpc");
  EXPECT_EQ(problemOf([](auto& c) { c.subnets = {"net"}; }), "subnets");
  EXPECT_EQ(problemOf([](auto& c) { c.ssh_from = {"anywhere"}; }), "ssh_from");
  EXPECT_EQ(problemOf([](auto& c) { c.security_groups = {"sg-1"}, c.ssh_from = {"10.0.0.0/8"}; }),
            "ssh_from");
  EXPECT_EQ(problemOf([](auto& c) { c.root_volume = ByteCount{1000}; }), "root_volume");
  EXPECT_EQ(problemOf([](auto& c) { c.commands = std::string(9000, 'x'); }), "commands");
  EXPECT_EQ(problemOf([](auto& c) { c.tags = {{"buoy:x", ""}}; }), "tags");
  EXPECT_EQ(problemOf([](auto& c) { c.max_price.nano_usd = 5, c.max_price_percent = 5; }), "max_price");
  EXPECT_EQ(problemOf([](auto& c) { c.instance_profile.clear(), c.buckets = {"s3://x/y"}; }), "buckets");
  EXPECT_EQ(problemOf([](auto& c) { c.instance_profile.clear(), c.managed_policies = {"Admin"}; }),
            "managed_policies");
  EXPECT_EQ(problemOf([](auto& c) { c.instance_profile = "mine", c.buckets = {"data"}; }), "buckets");
  EXPECT_EQ(problemOf([](auto& c) { c.max_price_percent = 1001; }), "max_price_percent");
  EXPECT_TRUE(checkPoolConfig(full()).empty());
}

TEST(PriceLimit, IsADollarAmountOrAPartOfTheOnDemandPrice) {
  engine::MachineType type;
  type.on_demand_price = PricePerHour{200'000'000};
  PoolConfig config = minimal();
  EXPECT_EQ(priceLimit(config, type), PricePerHour{0});
  config.max_price_percent = 40;
  EXPECT_EQ(priceLimit(config, type), PricePerHour{80'000'000});
  config.max_price_percent = 0;
  config.max_price = PricePerHour{50'000'000};
  EXPECT_EQ(priceLimit(config, type), PricePerHour{50'000'000});
}

TEST(IsCidr, TakesAddressesWithALength) {
  EXPECT_TRUE(isCidr("0.0.0.0/0"));
  EXPECT_TRUE(isCidr("203.0.113.7/32"));
  for (const char* text :
       {"", "203.0.113.7", "203.0.113/24", "256.0.0.1/8", "1.2.3.4/33", "1.2.3.4/", "a.b.c.d/8"})
    EXPECT_FALSE(isCidr(text)) << text;
}

}  // namespace
}  // namespace buoy::cloud::aws
