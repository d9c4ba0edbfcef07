#include "cloud/aws/ec2.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cloud/aws/parameters.h"
#include "objstore/s3/checksum.h"

namespace buoy::cloud::aws {
namespace {

constexpr const char* kIamVersion = "2010-05-08";
constexpr const char* kStsVersion = "2011-06-15";
constexpr const char* kPageSize = "1000";
constexpr int kMostPages = 1000;

constexpr const char* kTrustPolicy =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},)"
    R"("Action":"sts:AssumeRole"}]})";

std::string dollars(PricePerHour price) {
  std::string text = std::to_string(price.nano_usd / 1'000'000'000);
  std::string rest = std::to_string(price.nano_usd % 1'000'000'000);
  rest.insert(0, 9 - rest.size(), '0');
  return strCat({text, ".", rest});
}

void addPlace(Parameters& parameters, const std::string& prefix, const Override& each) {
  parameters.emplace_back(prefix + "InstanceType", each.type);
  if (!each.subnet.empty())
    parameters.emplace_back(prefix + "SubnetId", each.subnet);
  else if (!each.zone.empty())
    parameters.emplace_back(prefix + "Placement.AvailabilityZone", each.zone);
}

Answer<void> forgotten(Answer<std::string> answer) {
  if (!answer) return tl::unexpected(std::move(answer.error()));
  return {};
}

}  // namespace

Answer<std::string> Ec2::ec2(const std::string& action, Parameters parameters, const std::stop_token& stop) {
  return caller_.call(queryCall("ec2", kEc2Version, action, std::move(parameters)), stop);
}

Answer<std::string> Ec2::iam(const std::string& action, Parameters parameters, const std::stop_token& stop) {
  return caller_.call(queryCall("iam", kIamVersion, action, std::move(parameters)), stop);
}

template <class T>
Answer<T> Ec2::parsed(const std::string& action, Result<T> result) {
  if (result) return std::move(*result);
  return tl::unexpected(refusalOf(action, result.error()));
}

Answer<void> Ec2::ensured(Answer<std::string> answer) {
  if (!answer && answer.error().kind == RefusalKind::exists) return {};
  return forgotten(std::move(answer));
}

Answer<void> Ec2::removed(Answer<std::string> answer) {
  if (!answer && answer.error().kind == RefusalKind::not_found) return {};
  return forgotten(std::move(answer));
}

template <class T>
Answer<std::vector<T>> Ec2::listed(const std::string& action, const std::vector<Filter>& filters,
                                   Result<std::vector<T>> (*parse)(std::string_view),
                                   const std::stop_token& stop) {
  Parameters parameters;
  addFilters(parameters, filters);
  BUOY_ASK(const std::string body, ec2(action, std::move(parameters), stop));
  return parsed(action, parse(body));
}

// ---- machines

Answer<FleetAnswer> Ec2::createFleet(const FleetRequest& request, const std::stop_token& stop) {
  Parameters parameters{
      {"Type", "instant"},
      {"ClientToken", request.token},
      {"LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId", request.launch_template},
      {"LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version", std::to_string(request.version)},
      {"TargetCapacitySpecification.TotalTargetCapacity", "1"},
      {"TargetCapacitySpecification.DefaultTargetCapacityType", request.spot ? "spot" : "on-demand"}};
  if (request.spot) {
    parameters.emplace_back("SpotOptions.AllocationStrategy", "price-capacity-optimized");
  } else {
    parameters.emplace_back("OnDemandOptions.AllocationStrategy", "lowest-price");
  }
  for (std::size_t i = 0; i < request.overrides.size(); ++i) {
    const std::string at = strCat({"LaunchTemplateConfigs.1.Overrides.", std::to_string(i + 1), "."});
    const Override& each = request.overrides[i];
    parameters.emplace_back(at + "InstanceType", each.type);
    if (!each.subnet.empty())
      parameters.emplace_back(at + "SubnetId", each.subnet);
    else if (!each.zone.empty())
      parameters.emplace_back(at + "AvailabilityZone", each.zone);
    if (request.spot && each.max_price.nano_usd > 0)
      parameters.emplace_back(at + "MaxPrice", dollars(each.max_price));
  }
  addTags(parameters, "TagSpecification", {"instance", "fleet"}, request.tags);
  BUOY_ASK(const std::string body, ec2("CreateFleet", std::move(parameters), stop));
  return parsed("CreateFleet", parseFleet(body));
}

Answer<Instance> Ec2::runInstance(const FleetRequest& request, const std::stop_token& stop) {
  const Override& each = request.overrides.at(0);
  Parameters parameters{{"MinCount", "1"},
                        {"MaxCount", "1"},
                        {"ClientToken", request.token},
                        {"LaunchTemplate.LaunchTemplateId", request.launch_template},
                        {"LaunchTemplate.Version", std::to_string(request.version)}};
  addPlace(parameters, "", each);
  if (request.spot) {
    parameters.emplace_back("InstanceMarketOptions.MarketType", "spot");
    parameters.emplace_back("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time");
    parameters.emplace_back("InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate");
    if (each.max_price.nano_usd > 0)
      parameters.emplace_back("InstanceMarketOptions.SpotOptions.MaxPrice", dollars(each.max_price));
  }
  addTags(parameters, "TagSpecification", {"instance"}, request.tags);
  BUOY_ASK(const std::string body, ec2("RunInstances", std::move(parameters), stop));
  BUOY_ASK(const std::vector<Instance> made, parsed("RunInstances", parseRun(body)));
  return made.front();
}

Answer<std::vector<Terminated>> Ec2::terminate(const std::vector<std::string>& ids,
                                               const std::stop_token& stop) {
  Parameters parameters;
  addList(parameters, "InstanceId", ids);
  BUOY_ASK(const std::string body, ec2("TerminateInstances", std::move(parameters), stop));
  return parsed("TerminateInstances", parseTerminated(body));
}

Answer<void> Ec2::describeInstances(const std::vector<Filter>& filters,
                                    const std::function<void(std::vector<Instance>)>& visit,
                                    const std::stop_token& stop) {
  std::string token;
  for (int page = 0; page < kMostPages; ++page) {
    Parameters parameters{{"MaxResults", kPageSize}};
    addFilters(parameters, filters);
    if (!token.empty()) parameters.emplace_back("NextToken", token);
    BUOY_ASK(const std::string body, ec2("DescribeInstances", std::move(parameters), stop));
    BUOY_ASK(InstancePage answer, parsed("DescribeInstances", parseInstances(body)));
    visit(std::move(answer.instances));
    if (answer.next.empty()) return {};
    token = std::move(answer.next);
  }
  return tl::unexpected(
      refusalOf("DescribeInstances", Error{ErrorCode::internal, "its pages do not come to an end", false}));
}

Answer<std::vector<SpotPrice>> Ec2::spotPrices(const std::vector<std::string>& types, Time since,
                                               const std::stop_token& stop) {
  std::vector<SpotPrice> prices;
  std::string token;
  for (int page = 0; page < kMostPages; ++page) {
    Parameters parameters{
        {"MaxResults", kPageSize}, {"StartTime", formatTime(since)}, {"ProductDescription.1", "Linux/UNIX"}};
    addList(parameters, "InstanceType", types);
    if (!token.empty()) parameters.emplace_back("NextToken", token);
    BUOY_ASK(const std::string body, ec2("DescribeSpotPriceHistory", std::move(parameters), stop));
    BUOY_ASK(SpotPricePage answer, parsed("DescribeSpotPriceHistory", parseSpotPrices(body)));
    std::move(answer.prices.begin(), answer.prices.end(), std::back_inserter(prices));
    if (answer.next.empty()) return prices;
    token = std::move(answer.next);
  }
  return prices;
}

// ---- what machines are made of

Answer<std::vector<Image>> Ec2::images(const std::string& id, const std::string& name,
                                       const std::string& owner, const std::stop_token& stop) {
  Parameters parameters;
  if (!id.empty()) parameters.emplace_back("ImageId.1", id);
  if (!name.empty()) addFilters(parameters, {{"name", {name}}, {"state", {"available"}}});
  if (!owner.empty()) parameters.emplace_back("Owner.1", owner);
  BUOY_ASK(const std::string body, ec2("DescribeImages", std::move(parameters), stop));
  return parsed("DescribeImages", parseImages(body));
}

Answer<std::string> Ec2::parameter(const std::string& name, const std::stop_token& stop) {
  BUOY_ASK(
      const std::string body,
      caller_.call(jsonCall("ssm", "AmazonSSM.GetParameter", nlohmann::json{{"Name", name}}.dump()), stop));
  return parsed("GetParameter", parseParameter(body));
}

Answer<std::vector<TypeInfo>> Ec2::types(const std::vector<std::string>& names, const std::stop_token& stop) {
  Parameters parameters;
  addList(parameters, "InstanceType", names);
  BUOY_ASK(const std::string body, ec2("DescribeInstanceTypes", std::move(parameters), stop));
  return parsed("DescribeInstanceTypes", parseTypes(body));
}

Answer<LaunchTemplate> Ec2::createTemplate(const std::string& name, const std::string& token,
                                           const TemplateData& data, const std::vector<Tag>& tags,
                                           const std::stop_token& stop) {
  const std::string at = "LaunchTemplateData.";
  Parameters parameters{{"LaunchTemplateName", name},
                        {"ClientToken", token},
                        {at + "ImageId", data.image},
                        {at + "UserData", objstore::s3::base64(data.user_data)},
                        {at + "InstanceInitiatedShutdownBehavior", "terminate"},
                        // IMDSv2 only, and not from containers behind a bridge.
                        {at + "MetadataOptions.HttpTokens", "required"},
                        {at + "MetadataOptions.HttpEndpoint", "enabled"},
                        {at + "MetadataOptions.HttpPutResponseHopLimit", "1"}};
  if (!data.instance_profile.empty())
    parameters.emplace_back(at + "IamInstanceProfile.Name", data.instance_profile);
  if (!data.key_pair.empty()) parameters.emplace_back(at + "KeyName", data.key_pair);
  addList(parameters, at + "SecurityGroupId", data.security_groups);
  if (data.root_gib > 0) {
    const std::string device = at + "BlockDeviceMapping.1.";
    parameters.emplace_back(device + "DeviceName", data.root_device);
    parameters.emplace_back(device + "Ebs.VolumeSize", std::to_string(data.root_gib));
    parameters.emplace_back(device + "Ebs.VolumeType", "gp3");
    parameters.emplace_back(device + "Ebs.DeleteOnTermination", "true");
  }
  addTags(parameters, at + "TagSpecification", {"volume"}, data.tags);
  addTags(parameters, "TagSpecification", {"launch-template"}, tags);
  BUOY_ASK(const std::string body, ec2("CreateLaunchTemplate", std::move(parameters), stop));
  return parsed("CreateLaunchTemplate", parseLaunchTemplate(body));
}

Answer<std::vector<LaunchTemplate>> Ec2::templates(const std::vector<Filter>& filters,
                                                   const std::stop_token& stop) {
  return listed("DescribeLaunchTemplates", filters, parseLaunchTemplates, stop);
}

Answer<void> Ec2::deleteTemplate(const std::string& id, const std::stop_token& stop) {
  return removed(ec2("DeleteLaunchTemplate", {{"LaunchTemplateId", id}}, stop));
}

// ---- network and access

Answer<std::vector<Vpc>> Ec2::vpcs(const std::vector<Filter>& filters, const std::stop_token& stop) {
  return listed("DescribeVpcs", filters, parseVpcs, stop);
}

Answer<std::vector<Subnet>> Ec2::subnets(const std::vector<Filter>& filters, const std::stop_token& stop) {
  return listed("DescribeSubnets", filters, parseSubnets, stop);
}

Answer<std::vector<RouteTable>> Ec2::routeTables(const std::string& vpc, const std::stop_token& stop) {
  return listed("DescribeRouteTables", {{"vpc-id", {vpc}}}, parseRouteTables, stop);
}

Answer<std::vector<SecurityGroup>> Ec2::securityGroups(const std::vector<Filter>& filters,
                                                       const std::stop_token& stop) {
  return listed("DescribeSecurityGroups", filters, parseSecurityGroups, stop);
}

Answer<std::string> Ec2::createSecurityGroup(const std::string& name, const std::string& vpc,
                                             const std::vector<Tag>& tags, const std::stop_token& stop) {
  Parameters parameters{{"GroupName", name}, {"GroupDescription", "Machines of Buoy"}, {"VpcId", vpc}};
  addTags(parameters, "TagSpecification", {"security-group"}, tags);
  BUOY_ASK(const std::string body, ec2("CreateSecurityGroup", std::move(parameters), stop));
  return parsed("CreateSecurityGroup", parseGroupId(body));
}

Answer<void> Ec2::allowSsh(const std::string& group, const std::vector<std::string>& from,
                           const std::stop_token& stop) {
  const std::string rule = "IpPermissions.1.";
  Parameters parameters{
      {"GroupId", group}, {rule + "IpProtocol", "tcp"}, {rule + "FromPort", "22"}, {rule + "ToPort", "22"}};
  for (std::size_t i = 0; i < from.size(); ++i)
    parameters.emplace_back(strCat({rule, "IpRanges.", std::to_string(i + 1), ".CidrIp"}), from[i]);
  return ensured(ec2("AuthorizeSecurityGroupIngress", std::move(parameters), stop));
}

Answer<void> Ec2::allowWithin(const std::string& group, const std::stop_token& stop) {
  return ensured(ec2(
      "AuthorizeSecurityGroupIngress",
      {{"GroupId", group}, {"IpPermissions.1.IpProtocol", "-1"}, {"IpPermissions.1.Groups.1.GroupId", group}},
      stop));
}

Answer<void> Ec2::deleteSecurityGroup(const std::string& id, const std::stop_token& stop) {
  return removed(ec2("DeleteSecurityGroup", {{"GroupId", id}}, stop));
}

Answer<std::vector<KeyPair>> Ec2::keyPairs(const std::string& name, const std::stop_token& stop) {
  return listed("DescribeKeyPairs", {{"key-name", {name}}}, parseKeyPairs, stop);
}

Answer<std::string> Ec2::createKeyPair(const std::string& name, const std::vector<Tag>& tags,
                                       const std::stop_token& stop) {
  Parameters parameters{{"KeyName", name}, {"KeyType", "ed25519"}};
  addTags(parameters, "TagSpecification", {"key-pair"}, tags);
  BUOY_ASK(const std::string body, ec2("CreateKeyPair", std::move(parameters), stop));
  return parsed("CreateKeyPair", parseKeyMaterial(body));
}

// ---- roles

Answer<InstanceProfile> Ec2::instanceProfile(const std::string& name, const std::stop_token& stop) {
  BUOY_ASK(const std::string body, iam("GetInstanceProfile", {{"InstanceProfileName", name}}, stop));
  return parsed("GetInstanceProfile", parseInstanceProfile(body));
}

Answer<std::vector<std::string>> Ec2::instanceProfiles(const std::string& prefix,
                                                       const std::stop_token& stop) {
  std::vector<std::string> found;
  for (std::string marker;;) {
    Parameters parameters;
    if (!marker.empty()) parameters.emplace_back("Marker", marker);
    BUOY_ASK(const std::string body, iam("ListInstanceProfiles", std::move(parameters), stop));
    BUOY_ASK(const ProfilePage page, parsed("ListInstanceProfiles", parseProfilePage(body)));
    for (const std::string& name : page.names) {
      if (name.starts_with(prefix)) found.push_back(name);
    }
    if (page.next.empty()) return found;
    marker = page.next;
  }
}

Answer<void> Ec2::makeInstanceProfile(const std::string& name, const std::string& policy,
                                      const std::vector<std::string>& managed, const std::vector<Tag>& tags,
                                      const std::stop_token& stop) {
  Parameters role{{"RoleName", name},
                  {"AssumeRolePolicyDocument", kTrustPolicy},
                  {"Description", "Machines of Buoy: their store"}};
  Parameters profile{{"InstanceProfileName", name}};
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const std::string at = strCat({"Tags.member.", std::to_string(i + 1)});
    for (Parameters* each : {&role, &profile}) {
      each->emplace_back(at + ".Key", tags[i].key);
      each->emplace_back(at + ".Value", tags[i].value);
    }
  }
  if (auto made = ensured(iam("CreateRole", std::move(role), stop)); !made) return made;
  auto put = iam("PutRolePolicy",
                 {{"RoleName", name}, {"PolicyName", "buoy-store"}, {"PolicyDocument", policy}}, stop);
  if (!put) return tl::unexpected(std::move(put.error()));
  for (const std::string& arn : managed) {
    auto attached = iam("AttachRolePolicy", {{"RoleName", name}, {"PolicyArn", arn}}, stop);
    if (!attached) return tl::unexpected(std::move(attached.error()));
  }
  if (auto made = ensured(iam("CreateInstanceProfile", std::move(profile), stop)); !made) return made;
  auto added = iam("AddRoleToInstanceProfile", {{"InstanceProfileName", name}, {"RoleName", name}}, stop);
  // A profile has one role: a second is over the limit, and here it is the same one.
  if (!added && added.error().code == "LimitExceeded") return {};
  return ensured(std::move(added));
}

Answer<void> Ec2::deleteInstanceProfile(const std::string& name, const std::stop_token& stop) {
  auto listed = iam("ListAttachedRolePolicies", {{"RoleName", name}}, stop);
  if (!listed && listed.error().kind != RefusalKind::not_found)
    return tl::unexpected(std::move(listed.error()));
  if (listed) {
    BUOY_ASK(const std::vector<std::string> attached,
             parsed("ListAttachedRolePolicies", parseAttachedPolicies(*listed)));
    for (const std::string& arn : attached) {
      auto gone = removed(iam("DetachRolePolicy", {{"RoleName", name}, {"PolicyArn", arn}}, stop));
      if (!gone) return gone;
    }
  }
  for (const auto& [action, parameters] : std::initializer_list<std::pair<const char*, Parameters>>{
           {"RemoveRoleFromInstanceProfile", {{"InstanceProfileName", name}, {"RoleName", name}}},
           {"DeleteInstanceProfile", {{"InstanceProfileName", name}}},
           {"DeleteRolePolicy", {{"RoleName", name}, {"PolicyName", "buoy-store"}}},
           {"DeleteRole", {{"RoleName", name}}}}) {
    if (auto gone = removed(iam(action, parameters, stop)); !gone) return gone;
  }
  return {};
}

Answer<Identity> Ec2::identity(const std::stop_token& stop) {
  BUOY_ASK(const std::string body,
           caller_.call(queryCall("sts", kStsVersion, "GetCallerIdentity", {}), stop));
  return parsed("GetCallerIdentity", parseIdentity(body));
}

}  // namespace buoy::cloud::aws
