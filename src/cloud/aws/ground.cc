#include "cloud/aws/ground.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "aws/service_call.h"
#include "base/strings.h"
#include "cloud/aws/names.h"
#include "cloud/aws/policy.h"
#include "cloud/aws/user_data.h"
#include "net/http.h"
#include "objstore/sha256.h"
#include "os/files.h"

namespace buoy::cloud::aws {
namespace {

constexpr Duration kCallerAddressLimit = std::chrono::seconds{10};
// What is made for some machines only is named by as much of a hash.
constexpr std::size_t kShortHash = 8;
// A template whose URL ends sooner is made anew: a machine may take a while until it asks.
constexpr Duration kUrlReserve = std::chrono::minutes{20};
constexpr std::int64_t kGib = std::int64_t{1} << 30;
constexpr const char* kArchitecture = "x86_64";  // the agent's

tl::unexpected<Refusal> refuse(std::string message, RefusalKind kind = RefusalKind::bad_request) {
  return tl::unexpected(Refusal{kind, "", Error{ErrorCode::invalid_argument, std::move(message), false}});
}

template <class T>
tl::unexpected<Refusal> refuse(std::string_view what, const Result<T>& result) {
  return tl::unexpected(refusalOf(what, result.error()));
}

}  // namespace

std::vector<Tag> GroundMaker::tags(const PoolConfig& config) const {
  std::vector<Tag> tags{{kClusterTag, options_.cluster}, {"Name", resourceName(options_.cluster)}};
  for (const auto& [key, value] : config.tags) {
    if (key != kNameTag) tags.push_back({key, value});
  }
  return tags;
}

Answer<Image> GroundMaker::image(const PoolConfig& config) {
  std::string id = config.image_id;
  if (id.empty() && config.image_name.empty()) {
    const std::string name = config.image_parameter.empty() ? kDefaultImageParameter : config.image_parameter;
    auto value = ec2_.parameter(name, stop_);
    if (!value && value.error().kind == RefusalKind::not_found)
      return refuse(strCat({"SSM has no parameter ", inQuotes(name), " in ", config.region,
                            ": set `image: {id: ami-…}` in the pool's section `aws`"}));
    if (!value) return tl::unexpected(std::move(value.error()));
    id = std::move(*value);
  }
  const std::string what = id.empty() ? "named " + inQuotes(config.image_name) : id;
  auto found = ec2_.images(id, config.image_name, config.image_owner, stop_);
  if (!found && found.error().kind != RefusalKind::not_found) return tl::unexpected(std::move(found.error()));
  if (!found || found->empty())
    return refuse(strCat({"there is no image ", what, " in ", config.region,
                          ": images belong to one region; look there with `aws ec2 describe-images`"}));
  Image newest = *std::max_element(found->begin(), found->end(),
                                   [](const Image& a, const Image& b) { return a.created < b.created; });
  if (!newest.architecture.empty() && newest.architecture != kArchitecture)
    return refuse(strCat({"image ", newest.id, " is for ", newest.architecture,
                          ", but Buoy's agent runs on x86_64 only: name another image"}));
  const std::int64_t wanted = static_cast<std::int64_t>(config.root_volume.value) / kGib;
  if (wanted > 0 && wanted < newest.root_gib)
    return refuse(
        strCat({"root_volume must be at least the image's own ", std::to_string(newest.root_gib), " GiB"}));
  return newest;
}

Answer<void> GroundMaker::checkTypes(const Image& image, const std::vector<engine::MachineType>& types) {
  std::vector<std::string> names;
  for (const engine::MachineType& type : types) names.push_back(type.name);
  auto known = ec2_.types(names, stop_);
  if (!known) {
    // The message names those that are wrong.
    if (known.error().code == "InvalidInstanceType")
      known.error().error.message += ": the names under `types` of the pool must be EC2's";
    return tl::unexpected(std::move(known.error()));
  }
  for (const TypeInfo& type : *known) {
    const auto& all = type.architectures;
    if (!all.empty() && std::find(all.begin(), all.end(), kArchitecture) == all.end())
      return refuse(strCat({type.name, " is no x86_64 machine, but image ", image.id,
                            " and Buoy's agent are: take it out of the pool's types"}));
  }
  return {};
}

Answer<std::string> GroundMaker::vpc(const PoolConfig& config) {
  if (!config.vpc.empty()) return config.vpc;
  BUOY_ASK(const std::vector<Vpc> found, ec2_.vpcs({{"is-default", {"true"}}}, stop_));
  if (found.empty())
    return refuse(strCat({"the account has no default VPC in ", config.region,
                          ": name one by `vpc` or `subnets` in the pool's section `aws`"}));
  return found.front().id;
}

Answer<std::vector<Ground::Place>> GroundMaker::places(const PoolConfig& config, std::string* vpc_id) {
  std::vector<Subnet> subnets;
  if (config.subnets.empty()) {
    BUOY_ASK(*vpc_id, vpc(config));
    BUOY_ASK(subnets, ec2_.subnets({{"vpc-id", {*vpc_id}}}, stop_));
  } else {
    BUOY_ASK(subnets, ec2_.subnets({{"subnet-id", config.subnets}}, stop_));
    for (const std::string& id : config.subnets) {
      if (std::none_of(subnets.begin(), subnets.end(), [&](const Subnet& each) { return each.id == id; }))
        return refuse(strCat({"there is no subnet ", id, " in ", config.region}));
    }
    *vpc_id = subnets.front().vpc;
  }
  // The zone's own first.
  std::stable_sort(subnets.begin(), subnets.end(),
                   [](const Subnet& a, const Subnet& b) { return a.is_default > b.is_default; });
  std::vector<Ground::Place> found;
  for (const Subnet& subnet : subnets) {
    if (subnet.vpc != *vpc_id)
      return refuse("the subnets are in several VPCs; a pool's machines are in one: make a pool of each");
    const bool wanted = config.zones.empty() || std::find(config.zones.begin(), config.zones.end(),
                                                          subnet.zone) != config.zones.end();
    const bool known = std::any_of(found.begin(), found.end(),
                                   [&](const Ground::Place& place) { return place.zone == subnet.zone; });
    if (wanted && !known) found.push_back({subnet.zone, subnet.id});
  }
  for (const std::string& zone : config.zones) {
    if (std::none_of(found.begin(), found.end(), [&](const Ground::Place& p) { return p.zone == zone; }))
      return refuse(strCat({"there is no subnet of ", *vpc_id, " in zone ", zone,
                            ": take the zone out of the pool, or name a subnet in it"}));
  }
  if (found.empty()) return refuse(strCat({"VPC ", *vpc_id, " has no subnet"}));
  return found;
}

Answer<void> GroundMaker::checkRoutes(const std::string& vpc_id, const std::vector<Ground::Place>& where) {
  BUOY_ASK(const std::vector<RouteTable> tables, ec2_.routeTables(vpc_id, stop_));
  for (const Ground::Place& place : where) {
    const RouteTable* own = nullptr;
    for (const RouteTable& table : tables) {
      const bool named =
          std::find(table.subnets.begin(), table.subnets.end(), place.subnet) != table.subnets.end();
      if (named || (table.is_main && own == nullptr)) own = &table;
      if (named) break;
    }
    if (own != nullptr && !own->leads_out)
      return refuse(strCat({"subnet ", place.subnet, " in ", place.zone,
                            " has no route out, so a machine there reaches neither the store nor the control "
                            "plane: give route table ",
                            own->id, " a route to an internet or NAT gateway, or name another subnet"}));
  }
  return {};
}

Answer<std::vector<std::string>> GroundMaker::sshSources(const PoolConfig& config) {
  if (config.key_pair.empty() || !config.ssh_from.empty()) return config.ssh_from;
  const auto wrong = [&](std::string_view why) {
    return refuse(
        strCat({"this machine's public address, from which SSH is to be allowed, cannot be found (",
                options_.caller_address_url, ": ", why, "): set `ssh_from` in the pool's section `aws`"}));
  };
  auto url = buoy::aws::parseServiceUrl(options_.caller_address_url);
  if (!url) return wrong(url.error().message);
  net::Request request;
  request.method = "GET";
  request.target = url->target;
  request.headers = {{"Host", url->hostHeader()}};
  net::ClientOptions client;
  client.max_response = 4096;
  const auto answer = net::makeClient(url->endpoint, client)->send(request, kCallerAddressLimit);
  if (!answer) return wrong(answer.error().message);
  const std::string range = strCat({trim(answer->body), "/32"});
  if (answer->status != 200 || !isCidr(range)) return wrong("it does not answer with an address");
  return std::vector<std::string>{range};
}

Answer<std::vector<std::string>> GroundMaker::groups(const PoolConfig& config, const std::string& vpc_id) {
  if (!config.security_groups.empty()) return config.security_groups;
  BUOY_ASK(const std::vector<std::string> ssh, sshSources(config));
  const std::string name = resourceName(options_.cluster);
  const std::vector<Filter> mine{{"group-name", {name}}, {"vpc-id", {vpc_id}}};
  BUOY_ASK(std::vector<SecurityGroup> found, ec2_.securityGroups(mine, stop_));
  if (found.empty()) {
    auto made = ec2_.createSecurityGroup(name, vpc_id, tags(config), stop_);
    if (made) {
      found.push_back({*made, name, vpc_id, {}, false, {}});
    } else if (made.error().kind == RefusalKind::exists) {
      BUOY_ASK(found, ec2_.securityGroups(mine, stop_));  // its answer was lost
      if (found.empty()) return tl::unexpected(std::move(made.error()));
    } else {
      return tl::unexpected(std::move(made.error()));
    }
  }
  const SecurityGroup& group = found.front();
  if (!group.open_within) {
    if (auto opened = ec2_.allowWithin(group.id, stop_); !opened)
      return tl::unexpected(std::move(opened.error()));
  }
  std::vector<std::string> missing;
  for (const std::string& range : ssh) {
    if (std::find(group.ssh_from.begin(), group.ssh_from.end(), range) == group.ssh_from.end())
      missing.push_back(range);
  }
  if (!missing.empty()) {
    if (auto opened = ec2_.allowSsh(group.id, missing, stop_); !opened)
      return tl::unexpected(std::move(opened.error()));
  }
  return std::vector<std::string>{group.id};
}

// A pair that is there is taken as it is, whoever made it: its private key may be on another computer.
Answer<void> GroundMaker::keyPair(const PoolConfig& config) {
  if (config.key_pair.empty()) return {};
  BUOY_ASK(const std::vector<KeyPair> found, ec2_.keyPairs(config.key_pair, stop_));
  if (!found.empty()) return {};
  const std::string directory = options_.state_dir + "/keys";
  const std::string path = strCat({directory, "/", config.region, "-", config.key_pair, ".pem"});
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0)
    return refuse(strCat({"EC2 has no key pair ", inQuotes(config.key_pair), " in ", config.region, ", but ",
                          path, " is there: move it away, and a new pair is made"}));
  if (auto made = os::makeDirectories(directory, 0700); !made) return refuse("key pair", made);
  BUOY_ASK(const std::string material, ec2_.createKeyPair(config.key_pair, tags(config), stop_));
  if (auto kept = os::createFileExclusive(path, material, 0600); !kept) return refuse("key pair", kept);
  return {};
}

// A role that may do more is another one: machines of other pools are not to have it.
std::string GroundMaker::profileName(const PoolConfig& config) const {
  if (!config.instance_profile.empty()) return config.instance_profile;
  if (config.buckets.empty() && config.managed_policies.empty()) return resourceName(options_.cluster);
  const std::string all = strCat({join(config.buckets, " "), "\n", join(config.managed_policies, " ")});
  return strCat({resourceName(options_.cluster), "-", objstore::sha256Hex(all).substr(0, kShortHash)});
}

Answer<std::string> GroundMaker::profile(const PoolConfig& config) {
  const std::string name = profileName(config);
  auto found = ec2_.instanceProfile(name, stop_);
  if (found && !found->roles.empty()) return name;
  if (!found && found.error().kind != RefusalKind::not_found) return tl::unexpected(std::move(found.error()));
  if (!config.instance_profile.empty())
    return refuse(strCat({"there is no instance profile ", inQuotes(name), found ? " with a role" : "",
                          ": make it, or leave `instance_profile` out, and Buoy makes one"}));
  if (auto made = ec2_.makeInstanceProfile(name, machinePolicy(store_.uri, config.buckets),
                                           config.managed_policies, tags(config), stop_);
      !made)
    return tl::unexpected(std::move(made.error()));
  return name;
}

Answer<GroundMaker::Agent> GroundMaker::agent() {
  auto file = os::openFile(options_.agent_path, O_RDONLY);
  if (!file) return refuse("the agent", file);
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return refuse(options_.agent_path + " cannot be read");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  auto hashed = objstore::hashFile(file->get(), size, stop_);
  if (!hashed) return refuse("the agent", hashed);
  const std::string key = "agents/" + hashed->sha256;
  if (auto there = store_.objects->head(key); !there || there->size != size) {
    const auto put = store_.objects->putFile(key, file->get(), size, nullptr);
    if (!put) return refuse("cannot put the agent into the store", put);
  }
  auto url = store_.presign(key, ec2_.caller().clock());
  if (!url) return refuse("the agent's URL", url);
  return Agent{std::move(url->url), hashed->sha256, url->until};
}

std::string GroundMaker::bootConfig() const {
  return nlohmann::json{{"store", store_.uri}, {"cluster", options_.cluster}}.dump();
}

Result<std::string> GroundMaker::userData(const PoolConfig& config, const Agent& agent) const {
  UserData data{agent.url, agent.sha256, bootConfig(), config.commands, {{"AWS_REGION", config.region}}};
  if (!store_.settings.s3_endpoint.empty())
    data.environment["AWS_ENDPOINT_URL_S3"] = store_.settings.s3_endpoint;
  return userDataScript(data);
}

// Named by everything in it but the URL, which is another every time: the template of an earlier run is taken
// as long as its URL works, so that a launch that is asked for again after a crash is the same request.
Answer<LaunchTemplate> GroundMaker::launchTemplate(TemplateData data, const PoolConfig& config,
                                                   Time* valid_until) {
  BUOY_ASK(Agent fetched, agent());
  Agent nameless = fetched;
  nameless.url = "";
  auto same = userData(config, nameless);
  if (!same) return refuse("user data", same);
  std::string all = strCat({*same, "\n", data.image, "\n", data.key_pair, "\n", data.instance_profile, "\n",
                            data.root_device, "\n", std::to_string(data.root_gib)});
  for (const std::string& group : data.security_groups) all += "\n" + group;
  for (const Tag& tag : data.tags) all += strCat({"\n", tag.key, "=", tag.value});
  const std::string name =
      strCat({resourceName(options_.cluster), "-", objstore::sha256Hex(all).substr(0, 16)});

  BUOY_ASK(const std::vector<LaunchTemplate> found,
           ec2_.templates({{"launch-template-name", {name}}}, stop_));
  const Time now = ec2_.caller().clock().now();
  for (const LaunchTemplate& old : found) {
    Time until{};
    for (const Tag& tag : old.tags) {
      if (tag.key == kUntilTag) until = parseTime(tag.value).value_or(Time{});
    }
    if (until > now + kUrlReserve) {
      *valid_until = until - kUrlReserve;
      return old;
    }
    if (auto gone = ec2_.deleteTemplate(old.id, stop_); !gone) return tl::unexpected(std::move(gone.error()));
  }
  auto script = userData(config, fetched);
  if (!script) return refuse("user data", script);
  data.user_data = std::move(*script);
  std::vector<Tag> own = tags(config);
  own.push_back({kUntilTag, formatTime(fetched.valid_until)});
  *valid_until = fetched.valid_until - std::min<Duration>(kUrlReserve, (fetched.valid_until - now) / 2);
  const std::string token = objstore::sha256Hex(name + data.user_data).substr(0, 32);
  auto made = ec2_.createTemplate(name, token, data, own, stop_);
  if (made || made.error().kind != RefusalKind::exists) return made;
  // Somebody was faster: another thread of this cluster, or this one, whose answer was lost.
  BUOY_ASK(const std::vector<LaunchTemplate> theirs,
           ec2_.templates({{"launch-template-name", {name}}}, stop_));
  if (theirs.empty()) return made;
  return theirs.front();
}

Answer<Ground> GroundMaker::make(const PoolConfig& config, const std::vector<engine::MachineType>& types) {
  Ground ground;
  BUOY_ASK(const Image found, image(config));
  if (auto checked = checkTypes(found, types); !checked) return tl::unexpected(std::move(checked.error()));
  std::string vpc_id;
  BUOY_ASK(ground.places, places(config, &vpc_id));
  // A default VPC is made with its way out.
  if (!config.vpc.empty() || !config.subnets.empty()) {
    if (auto checked = checkRoutes(vpc_id, ground.places); !checked)
      return tl::unexpected(std::move(checked.error()));
  }
  TemplateData data;
  data.image = found.id;
  data.root_device = found.root_device.empty() ? "/dev/xvda" : found.root_device;
  data.root_gib = static_cast<std::int64_t>(config.root_volume.value) / kGib;
  BUOY_ASK(data.security_groups, groups(config, vpc_id));
  if (auto made = keyPair(config); !made) return tl::unexpected(std::move(made.error()));
  data.key_pair = config.key_pair;
  BUOY_ASK(data.instance_profile, profile(config));
  data.tags = tags(config);
  BUOY_ASK(const LaunchTemplate made, launchTemplate(data, config, &ground.valid_until));
  ground.launch_template = made.id;
  ground.version = made.version;
  return ground;
}

}  // namespace buoy::cloud::aws
