#include "cloud/aws/answers.h"

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "base/parse_number.h"
#include "base/strings.h"
#include "cloud/aws/xml_reading.h"

namespace buoy::cloud::aws {
namespace {

using namespace xml;

InstanceState stateOf(std::string_view name) {
  if (name == "pending") return InstanceState::pending;
  if (name == "running") return InstanceState::running;
  if (name == "shutting-down") return InstanceState::shutting_down;
  if (name == "terminated") return InstanceState::terminated;
  if (name == "stopping") return InstanceState::stopping;
  if (name == "stopped") return InstanceState::stopped;
  return InstanceState::unknown;
}

Instance instanceOf(const xml_node& item) {
  Instance instance;
  instance.id = text(item, "instanceId");
  instance.type = text(item, "instanceType");
  instance.zone = text(item.child("placement"), "availabilityZone");
  instance.state = stateOf(text(item.child("instanceState"), "name"));
  instance.reason_code = text(item.child("stateReason"), "code");
  instance.transition_reason = text(item, "reason");
  instance.private_address = text(item, "privateIpAddress");
  instance.public_address = text(item, "ipAddress");
  instance.subnet = text(item, "subnetId");
  for (const xml_node& group : item.child("groupSet").children("item"))
    instance.security_groups.push_back(text(group, "groupId"));
  instance.spot_request = text(item, "spotInstanceRequestId");
  instance.spot = text(item, "instanceLifecycle") == "spot";
  instance.launched = timeOf(item, "launchTime");
  instance.tags = tagsOf(item);
  return instance;
}

std::vector<Instance> instancesOf(const xml_node& reservation) {
  std::vector<Instance> instances;
  for (const xml_node& item : reservation.child("instancesSet").children("item")) {
    instances.push_back(instanceOf(item));
    if (instances.back().id.empty()) instances.pop_back();
  }
  return instances;
}

LaunchTemplate templateOf(const xml_node& node) {
  const auto latest = number<std::int64_t>(node, "latestVersionNumber");
  return {text(node, "launchTemplateId"), text(node, "launchTemplateName"), latest > 0 ? latest : 1,
          tagsOf(node)};
}

// "0.0416000", at most nine places.
std::optional<PricePerHour> priceOf(std::string_view digits) {
  const auto dollars = parseNumber<double>(digits);
  const auto price = dollars ? priceFromUsd(*dollars) : Result<PricePerHour>(fail(ErrorCode::internal, ""));
  return price ? std::optional(*price) : std::nullopt;
}

SecurityGroup groupOf(const xml_node& item) {
  SecurityGroup group{text(item, "groupId"), text(item, "groupName"), text(item, "vpcId"), {}, false,
                      tagsOf(item)};
  for (const xml_node& rule : item.child("ipPermissions").children("item")) {
    const bool all = text(rule, "ipProtocol") == "-1";
    const bool ssh = all || (number<int>(rule, "fromPort") <= 22 && number<int>(rule, "toPort") >= 22);
    for (const xml_node& range : rule.child("ipRanges").children("item")) {
      if (ssh) group.ssh_from.push_back(text(range, "cidrIp"));
    }
    for (const xml_node& pair : rule.child("groups").children("item")) {
      group.open_within = group.open_within || (all && text(pair, "groupId") == group.id);
    }
  }
  return group;
}

ErrorAnswer errorInJson(std::string_view body) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object()) return {};
  const auto value = [&](const char* name) {
    const auto at = document.find(name);
    return at != document.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  ErrorAnswer error{value("__type"), value("message")};
  if (error.code.empty()) error.code = value("ErrorCode");  // EFS
  if (error.message.empty()) error.message = value("Message");
  // "com.amazonaws.ssm#ParameterNotFound"
  error.code = error.code.substr(error.code.find('#') == std::string::npos ? 0 : error.code.find('#') + 1);
  return error;
}

}  // namespace

ErrorAnswer parseError(std::string_view body) {
  const std::string_view trimmed = trim(body);
  if (trimmed.starts_with('{')) return errorInJson(trimmed);
  xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  xml_node error = document.child("Response").child("Errors").child("Error");
  if (!error) error = document.child("ErrorResponse").child("Error");
  if (!error) error = document.child("Error");
  return {text(error, "Code"), text(error, "Message")};
}

std::string_view Instance::tag(std::string_view key) const {
  for (const Tag& each : tags) {
    if (each.key == key) return each.value;
  }
  return {};
}

Result<InstancePage> parseInstances(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeInstancesResponse"));
  InstancePage page;
  for (const xml_node& reservation : root.child("reservationSet").children("item")) {
    for (Instance& instance : instancesOf(reservation)) page.instances.push_back(std::move(instance));
  }
  page.next = text(root, "nextToken");
  return page;
}

Result<std::vector<Instance>> parseRun(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "RunInstancesResponse"));
  std::vector<Instance> instances = instancesOf(root);
  if (instances.empty()) return fail(ErrorCode::internal, "AWS's answer names no instance");
  return instances;
}

std::optional<Time> transitionTime(std::string_view reason) {
  const auto open = reason.rfind('(');
  const auto close = reason.rfind(" GMT)");
  if (open == std::string_view::npos || close == std::string_view::npos || close <= open) return std::nullopt;
  std::string instant(reason.substr(open + 1, close - open - 1));
  const auto space = instant.find(' ');
  if (space == std::string::npos) return std::nullopt;
  instant[space] = 'T';
  const auto time = parseTime(instant + "Z");
  return time ? std::optional(*time) : std::nullopt;
}

Result<FleetAnswer> parseFleet(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "CreateFleetResponse"));
  FleetAnswer answer;
  answer.fleet = text(root, "fleetId");
  for (const xml_node& item : root.child("fleetInstanceSet").children("item")) {
    const xml_node overrides = item.child("launchTemplateAndOverrides").child("overrides");
    std::string type = text(item, "instanceType");
    if (type.empty()) type = text(overrides, "instanceType");
    for (const xml_node& id : item.child("instanceIds").children("item")) {
      std::string instance(trim(id.child_value()));
      if (instance.empty()) continue;
      answer.instances.push_back(
          {std::move(instance), type, text(overrides, "availabilityZone"), text(overrides, "subnetId")});
    }
  }
  for (const xml_node& item : root.child("errorSet").children("item")) {
    const xml_node overrides = item.child("launchTemplateAndOverrides").child("overrides");
    answer.errors.push_back({text(overrides, "instanceType"), text(overrides, "availabilityZone"),
                             text(overrides, "subnetId"), text(item, "errorCode"),
                             text(item, "errorMessage")});
  }
  return answer;
}

Result<std::vector<Terminated>> parseTerminated(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "TerminateInstancesResponse"));
  std::vector<Terminated> all;
  for (const xml_node& item : root.child("instancesSet").children("item"))
    all.push_back({text(item, "instanceId"), stateOf(text(item.child("currentState"), "name"))});
  return all;
}

Result<SpotPricePage> parseSpotPrices(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeSpotPriceHistoryResponse"));
  SpotPricePage page;
  for (const xml_node& item : root.child("spotPriceHistorySet").children("item")) {
    const auto price = priceOf(text(item, "spotPrice"));
    if (price)
      page.prices.push_back(
          {text(item, "instanceType"), text(item, "availabilityZone"), *price, timeOf(item, "timestamp")});
  }
  page.next = text(root, "nextToken");
  return page;
}

Result<std::vector<Image>> parseImages(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeImagesResponse"));
  std::vector<Image> images;
  for (const xml_node& item : root.child("imagesSet").children("item")) {
    Image image{text(item, "imageId"),
                text(item, "name"),
                text(item, "architecture"),
                text(item, "rootDeviceName"),
                text(item, "imageState"),
                text(item, "creationDate"),
                0};
    for (const xml_node& device : item.child("blockDeviceMapping").children("item")) {
      if (text(device, "deviceName") == image.root_device)
        image.root_gib = number<std::int64_t>(device.child("ebs"), "volumeSize");
    }
    images.push_back(std::move(image));
  }
  return images;
}

Result<std::vector<Subnet>> parseSubnets(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeSubnetsResponse"));
  std::vector<Subnet> subnets;
  for (const xml_node& item : root.child("subnetSet").children("item"))
    subnets.push_back({text(item, "subnetId"), text(item, "vpcId"), text(item, "availabilityZone"),
                       flag(item, "defaultForAz"), number<std::int64_t>(item, "availableIpAddressCount")});
  return subnets;
}

Result<std::vector<Vpc>> parseVpcs(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeVpcsResponse"));
  std::vector<Vpc> vpcs;
  for (const xml_node& item : root.child("vpcSet").children("item"))
    vpcs.push_back({text(item, "vpcId"), flag(item, "isDefault")});
  return vpcs;
}

Result<std::vector<RouteTable>> parseRouteTables(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeRouteTablesResponse"));
  std::vector<RouteTable> tables;
  for (const xml_node& item : root.child("routeTableSet").children("item")) {
    RouteTable table;
    table.id = text(item, "routeTableId");
    for (const xml_node& association : item.child("associationSet").children("item")) {
      table.is_main = table.is_main || flag(association, "main");
      if (std::string subnet = text(association, "subnetId"); !subnet.empty())
        table.subnets.push_back(std::move(subnet));
    }
    for (const xml_node& route : item.child("routeSet").children("item")) {
      const bool everywhere = text(route, "destinationCidrBlock") == "0.0.0.0/0" ||
                              text(route, "destinationIpv6CidrBlock") == "::/0";
      const std::string state = text(route, "state");
      table.leads_out = table.leads_out || (everywhere && state != "blackhole");
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

Result<std::vector<SecurityGroup>> parseSecurityGroups(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeSecurityGroupsResponse"));
  std::vector<SecurityGroup> groups;
  for (const xml_node& item : root.child("securityGroupInfo").children("item"))
    groups.push_back(groupOf(item));
  return groups;
}

Result<std::string> parseGroupId(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "CreateSecurityGroupResponse"));
  std::string id = text(root, "groupId");
  if (id.empty()) return fail(ErrorCode::internal, "AWS's answer has no groupId");
  return id;
}

Result<std::vector<KeyPair>> parseKeyPairs(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeKeyPairsResponse"));
  std::vector<KeyPair> pairs;
  for (const xml_node& item : root.child("keySet").children("item"))
    pairs.push_back({text(item, "keyName"), text(item, "keyFingerprint")});
  return pairs;
}

Result<std::string> parseKeyMaterial(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "CreateKeyPairResponse"));
  std::string material = text(root, "keyMaterial");
  if (material.empty()) return fail(ErrorCode::internal, "AWS's answer has no keyMaterial");
  return material + "\n";
}

Result<LaunchTemplate> parseLaunchTemplate(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "CreateLaunchTemplateResponse"));
  LaunchTemplate made = templateOf(root.child("launchTemplate"));
  if (made.id.empty()) return fail(ErrorCode::internal, "AWS's answer has no launchTemplateId");
  return made;
}

Result<std::vector<LaunchTemplate>> parseLaunchTemplates(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeLaunchTemplatesResponse"));
  std::vector<LaunchTemplate> templates;
  for (const xml_node& item : root.child("launchTemplates").children("item"))
    templates.push_back(templateOf(item));
  return templates;
}

Result<std::vector<TypeInfo>> parseTypes(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeInstanceTypesResponse"));
  std::vector<TypeInfo> types;
  for (const xml_node& item : root.child("instanceTypeSet").children("item")) {
    TypeInfo type{text(item, "instanceType"),
                  number<std::int32_t>(item.child("vCpuInfo"), "defaultVCpus"),
                  number<std::int64_t>(item.child("memoryInfo"), "sizeInMiB"),
                  0,
                  {}};
    for (const xml_node& gpu : item.child("gpuInfo").child("gpus").children("item"))
      type.gpus += number<std::int32_t>(gpu, "count");
    for (const xml_node& each : item.child("processorInfo").child("supportedArchitectures").children("item"))
      type.architectures.emplace_back(trim(each.child_value()));
    types.push_back(std::move(type));
  }
  return types;
}

Result<InstanceProfile> parseInstanceProfile(std::string_view body) {
  xml_document document;
  document.load_buffer(body.data(), body.size());
  xml_node result = document.child("GetInstanceProfileResponse").child("GetInstanceProfileResult");
  if (!result) result = document.child("CreateInstanceProfileResponse").child("CreateInstanceProfileResult");
  const xml_node node = result.child("InstanceProfile");
  InstanceProfile profile{text(node, "InstanceProfileName"), text(node, "Arn"), {}};
  if (profile.name.empty()) return fail(ErrorCode::internal, "AWS's answer has no InstanceProfile");
  for (const xml_node& role : node.child("Roles").children("member"))
    profile.roles.push_back(text(role, "RoleName"));
  return profile;
}

Result<ProfilePage> parseProfilePage(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "ListInstanceProfilesResponse"));
  const xml_node result = root.child("ListInstanceProfilesResult");
  ProfilePage page;
  for (const xml_node& each : result.child("InstanceProfiles").children("member"))
    page.names.push_back(text(each, "InstanceProfileName"));
  if (flag(result, "IsTruncated")) page.next = text(result, "Marker");
  return page;
}

Result<std::vector<std::string>> parseAttachedPolicies(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "ListAttachedRolePoliciesResponse"));
  std::vector<std::string> arns;
  for (const xml_node& each :
       root.child("ListAttachedRolePoliciesResult").child("AttachedPolicies").children("member"))
    arns.push_back(text(each, "PolicyArn"));
  return arns;
}

Result<Identity> parseIdentity(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "GetCallerIdentityResponse"));
  const xml_node result = root.child("GetCallerIdentityResult");
  Identity identity{text(result, "Account"), text(result, "Arn")};
  if (identity.account.empty()) return fail(ErrorCode::internal, "AWS's answer has no Account");
  return identity;
}

Result<std::string> parseParameter(std::string_view body) {
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (document.is_object() && document.contains("Parameter") && document["Parameter"].is_object()) {
    const auto& parameter = document["Parameter"];
    if (parameter.contains("Value") && parameter["Value"].is_string())
      return parameter["Value"].get<std::string>();
  }
  return fail(ErrorCode::internal, "AWS's answer has no Parameter");
}

}  // namespace buoy::cloud::aws
