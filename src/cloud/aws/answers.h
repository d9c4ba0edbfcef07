#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "cloud/aws/refusal.h"

// What EC2, IAM, STS and SSM answer. Pure. The parsers take what any server may send: `internal` with what is
// missing if it is not what was asked for (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/).
namespace buoy::cloud::aws {

struct ErrorAnswer {
  std::string code, message;
};
// In any of AWS's forms: EC2's XML, the Query API's XML, JSON. Empty fields if the body is none of them.
ErrorAnswer parseError(std::string_view body);

struct Tag {
  std::string key, value;
  bool operator==(const Tag&) const = default;
};

enum class InstanceState { pending, running, shutting_down, terminated, stopping, stopped, unknown };

struct Instance {
  std::string id;
  std::string type, zone;
  InstanceState state = InstanceState::unknown;
  std::string reason_code;        // of the state: "Server.SpotInstanceTermination"
  std::string transition_reason;  // "User initiated (2026-11-21 11:22:33 GMT)"
  std::string private_address, public_address;
  std::string subnet;
  std::vector<std::string> security_groups;  // ids
  std::string spot_request;
  bool spot = false;
  Time launched{};
  std::vector<Tag> tags;

  std::string_view tag(std::string_view key) const;  // empty if it has none such
};
struct InstancePage {
  std::vector<Instance> instances;
  std::string next;  // the token of the next page; empty: this was the last
};
Result<InstancePage> parseInstances(std::string_view body);     // DescribeInstances
Result<std::vector<Instance>> parseRun(std::string_view body);  // RunInstances
// The instant that a transition's reason names; nullopt: it names none.
std::optional<Time> transitionTime(std::string_view reason);

struct FleetError {
  std::string type, zone, subnet;  // empty: of the whole request
  std::string code, message;
};
struct FleetAnswer {
  std::string fleet;
  struct Made {
    std::string instance, type, zone, subnet;
  };
  std::vector<Made> instances;
  std::vector<FleetError> errors;
};
Result<FleetAnswer> parseFleet(std::string_view body);

struct Terminated {
  std::string id;
  InstanceState state = InstanceState::unknown;
};
Result<std::vector<Terminated>> parseTerminated(std::string_view body);

struct SpotPrice {
  std::string type, zone;
  PricePerHour price;
  Time since{};
};
struct SpotPricePage {
  std::vector<SpotPrice> prices;
  std::string next;
};
Result<SpotPricePage> parseSpotPrices(std::string_view body);

struct Image {
  std::string id, name, architecture, root_device, state;
  std::string created;  // as text: later ones are greater
  std::int64_t root_gib = 0;
};
Result<std::vector<Image>> parseImages(std::string_view body);

struct Subnet {
  std::string id, vpc, zone;
  bool is_default = false;
  std::int64_t free_addresses = 0;
};
Result<std::vector<Subnet>> parseSubnets(std::string_view body);
struct Vpc {
  std::string id;
  bool is_default = false;
};
Result<std::vector<Vpc>> parseVpcs(std::string_view body);
struct RouteTable {
  std::string id;
  bool is_main = false;
  std::vector<std::string> subnets;
  bool leads_out = false;  // a default route to a gateway of any kind
};
Result<std::vector<RouteTable>> parseRouteTables(std::string_view body);
struct SecurityGroup {
  std::string id, name, vpc;
  std::vector<std::string> ssh_from;  // CIDRs that may reach port 22
  bool open_within = false;           // its members reach one another
  std::vector<Tag> tags;
};
Result<std::vector<SecurityGroup>> parseSecurityGroups(std::string_view body);
Result<std::string> parseGroupId(std::string_view body);  // CreateSecurityGroup

struct KeyPair {
  std::string name, fingerprint;
};
Result<std::vector<KeyPair>> parseKeyPairs(std::string_view body);
Result<std::string> parseKeyMaterial(std::string_view body);  // CreateKeyPair; secret

struct LaunchTemplate {
  std::string id, name;
  std::int64_t version = 1;
  std::vector<Tag> tags;
};
Result<LaunchTemplate> parseLaunchTemplate(std::string_view body);  // CreateLaunchTemplate
Result<std::vector<LaunchTemplate>> parseLaunchTemplates(std::string_view body);

// DescribeInstanceTypes.
struct TypeInfo {
  std::string name;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  std::int32_t gpus = 0;
  std::vector<std::string> architectures;
};
Result<std::vector<TypeInfo>> parseTypes(std::string_view body);

// IAM.
struct InstanceProfile {
  std::string name, arn;
  std::vector<std::string> roles;
};
Result<InstanceProfile> parseInstanceProfile(std::string_view body);  // Get- and CreateInstanceProfile
struct ProfilePage {
  std::vector<std::string> names;
  std::string next;  // the marker of the next page; empty: this was the last
};
Result<ProfilePage> parseProfilePage(std::string_view body);                    // ListInstanceProfiles
Result<std::vector<std::string>> parseAttachedPolicies(std::string_view body);  // their ARNs
// STS GetCallerIdentity.
struct Identity {
  std::string account, arn;
};
Result<Identity> parseIdentity(std::string_view body);
// SSM GetParameter.
Result<std::string> parseParameter(std::string_view body);

}  // namespace buoy::cloud::aws
