#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "engine/types.h"

namespace buoy::cloud::aws {

// The section `aws` of a pool whose provider is aws, as docs/aws.md explains it; kept as JSON in
// engine::Pool::provider_config. Pure.
struct PoolConfig {
  std::string region;
  std::string profile;             // of the shared files; empty: as AWS's tools find the credentials
  std::vector<std::string> zones;  // empty: all of the region
  // Where the image comes from: at most one. None: kDefaultImageParameter.
  std::string image_id, image_name, image_parameter;
  std::string image_owner;                   // for image_name: "self", "amazon", an account
  std::string vpc;                           // empty: the default one
  std::vector<std::string> subnets;          // empty: every zone's own of the VPC
  std::string key_pair;                      // empty: none
  std::vector<std::string> security_groups;  // given: none is made
  std::vector<std::string> ssh_from;  // CIDRs that may reach port 22; empty: the caller's address alone
  std::string instance_profile;       // name; empty: one is made
  std::vector<std::string> buckets;   // that its machines may use beside the store, by the role that is made
  std::vector<std::string> managed_policies;  // ARNs: what else that role may do
  ByteCount root_volume{};                    // zero: the image's own
  std::string commands;                       // shell, run as root before the agent starts
  std::map<std::string, std::string> tags;
  PricePerHour max_price{};   // of spot machines; zero: see max_price_percent
  int max_price_percent = 0;  // of the on-demand price; zero: the on-demand price, which is AWS's own limit
  bool spread_gangs = false;  // a gang's machines may be in several zones
  bool operator==(const PoolConfig&) const = default;
};

inline constexpr const char* kProviderName = "aws";  // of pools whose machines are on EC2
inline constexpr const char* kDefaultImageParameter =
    "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

// EC2's rules
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-for-interrupted-spot-instances.html): by the
// second, a minute at least; nothing for a spot machine that EC2 interrupts in its first hour.
inline constexpr engine::BillingRule kBilling{.least = std::chrono::minutes{1},
                                              .free_within = std::chrono::hours{1}};

std::string toJson(const PoolConfig& config);
// What toJson wrote; invalid_argument otherwise.
Result<PoolConfig> parsePoolConfig(std::string_view json);

// One problem with a value, by the key that it stands at.
struct ConfigProblem {
  std::string key, message;
};
std::vector<ConfigProblem> checkPoolConfig(const PoolConfig& config);

// The most that a spot machine of this type may cost; zero: AWS's own limit.
PricePerHour priceLimit(const PoolConfig& config, const engine::MachineType& type);

// "10.0.0.0/8": IPv4 only.
bool isCidr(std::string_view text);

}  // namespace buoy::cloud::aws
