#include "cloud/aws/pool_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostTags = 40;  // AWS takes 50, and Buoy needs some
constexpr std::size_t kMostListed = 50;
constexpr std::size_t kMostManaged = 10;            // IAM's limit
constexpr std::size_t kLongestCommands = 8 * 1024;  // user data may have 16 KiB
constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

bool isPlain(std::string_view text, std::string_view also) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || also.find(c) != std::string_view::npos;
  });
}

bool isId(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) && text.size() > prefix.size() && text.size() <= 64 &&
         isPlain(text.substr(prefix.size()), "");
}

class Checker {
 public:
  explicit Checker(const PoolConfig& config) : config_(config) {}

  std::vector<ConfigProblem> check() {
    if (config_.region.empty()) wrong("region", "is missing, for example eu-west-1");
    if (!config_.region.empty() && !isPlain(config_.region, "-"))
      wrong("region", "must be a region's name like eu-west-1, not " + inQuotes(config_.region));
    for (const std::string& zone : config_.zones) {
      if (!zone.starts_with(config_.region) || zone == config_.region || !isPlain(zone, "-"))
        wrong("zones",
              strCat({inQuotes(zone), " is no zone of ", config_.region, "; one is ", config_.region, "a"}));
    }
    checkImage();
    checkNetwork();
    checkRole();
    checkMoney();
    if (config_.root_volume.value % kGib != 0 || config_.root_volume.value > (std::uint64_t{16} << 40))
      wrong("root_volume", "must be a whole number of GiB, at most 16 TiB");
    if (config_.commands.size() > kLongestCommands)
      wrong("commands", "have more than 8 KiB; fetch the rest from a file of your own");
    checkTags();
    return std::move(problems_);
  }

 private:
  void wrong(std::string key, std::string message) {
    problems_.push_back({std::move(key), std::move(message)});
  }
  void ids(const char* key, const std::vector<std::string>& list, std::string_view prefix) {
    if (list.size() > kMostListed) wrong(key, "has more than 50 entries");
    for (const std::string& id : list) {
      if (!isId(id, prefix))
        wrong(key, strCat({inQuotes(id), " is no id; one is ", prefix, "0123456789abcdef0"}));
    }
  }

  void checkImage() {
    const int given =
        !config_.image_id.empty() + !config_.image_name.empty() + !config_.image_parameter.empty();
    if (given > 1) wrong("image", "id, name and parameter exclude one another: keep one of them");
    if (!config_.image_id.empty() && !isId(config_.image_id, "ami-"))
      wrong("image", inQuotes(config_.image_id) + " is no image's id; one is ami-0123456789abcdef0");
    if (!config_.image_parameter.empty() && !config_.image_parameter.starts_with('/'))
      wrong("image", "the SSM parameter must be a path, for example " + std::string(kDefaultImageParameter));
    if (!config_.image_owner.empty() && config_.image_name.empty())
      wrong("image", "owner belongs to an image's name");
  }

  void checkNetwork() {
    if (!config_.vpc.empty() && !isId(config_.vpc, "vpc-"))
      wrong("vpc", inQuotes(config_.vpc) + " is no VPC's id; one is vpc-0123456789abcdef0");
    ids("subnets", config_.subnets, "subnet-");
    ids("security_groups", config_.security_groups, "sg-");
    for (const std::string& range : config_.ssh_from) {
      if (!isCidr(range)) wrong("ssh_from", inQuotes(range) + " is no IPv4 range; one is 203.0.113.7/32");
    }
    if (!config_.security_groups.empty() && !config_.ssh_from.empty())
      wrong("ssh_from", "is for the group that Buoy makes; with security_groups it makes none");
  }

  void checkRole() {
    for (const std::string& bucket : config_.buckets) {
      if (bucket.size() < 3 || bucket.size() > 63 || !isPlain(bucket, "-."))
        wrong("buckets", inQuotes(bucket) + " is no bucket's name: it stands there without s3:// and a key");
    }
    if (config_.managed_policies.size() > kMostManaged)
      wrong("managed_policies", "has more than 10 entries, which is all that a role may have");
    for (const std::string& arn : config_.managed_policies) {
      if (!arn.starts_with("arn:") || arn.find(":policy/") == std::string::npos)
        wrong("managed_policies",
              inQuotes(arn) + " is no policy; one is arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess");
    }
    if (config_.instance_profile.empty()) return;
    for (const auto& [key, list] :
         {std::pair{"buckets", &config_.buckets}, std::pair{"managed_policies", &config_.managed_policies}}) {
      if (!list->empty()) wrong(key, "is for the role that Buoy makes; with instance_profile it makes none");
    }
  }

  void checkMoney() {
    if (config_.max_price.nano_usd > 0 && config_.max_price_percent > 0)
      wrong("max_price", "max_price and max_price_percent exclude one another: keep one of them");
    if (config_.max_price.nano_usd < 0) wrong("max_price", "must be more than 0");
    if (config_.max_price_percent < 0 || config_.max_price_percent > 1000)
      wrong("max_price_percent", "must be from 1 to 1000");
  }

  void checkTags() {
    if (config_.tags.size() > kMostTags) wrong("tags", "has more than 40 entries");
    for (const auto& [key, value] : config_.tags) {
      if (key.empty() || key.size() > 128 || value.size() > 256)
        wrong("tags", "a key has 1 to 128 and a value at most 256 characters");
      if (key.starts_with("aws:") || key.starts_with("buoy:"))
        wrong("tags", inQuotes(key) + ": keys that begin with aws: or buoy: are not free");
    }
  }

  const PoolConfig& config_;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

std::vector<ConfigProblem> checkPoolConfig(const PoolConfig& config) {
  return Checker(config).check();
}

bool isCidr(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto numberIn = [](std::string_view digits, int most) {
    const auto value = parseNumber<int>(digits);
    return value && *value >= 0 && *value <= most;
  };
  const auto parts = split(text.substr(0, slash), '.');
  return parts.size() == 4 && numberIn(text.substr(slash + 1), 32) &&
         std::all_of(parts.begin(), parts.end(), [&](std::string_view part) { return numberIn(part, 255); });
}

PricePerHour priceLimit(const PoolConfig& config, const engine::MachineType& type) {
  if (config.max_price.nano_usd > 0) return config.max_price;
  return {type.on_demand_price.nano_usd / 100 * config.max_price_percent};
}

std::string toJson(const PoolConfig& config) {
  Json json{{"region", config.region}};
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  const auto list = [&](const char* key, const std::vector<std::string>& values) {
    if (!values.empty()) json[key] = values;
  };
  text("profile", config.profile);
  list("zones", config.zones);
  Json image = Json::object();
  for (const auto& [key, value] :
       {std::pair{"id", &config.image_id}, std::pair{"name", &config.image_name},
        std::pair{"parameter", &config.image_parameter}, std::pair{"owner", &config.image_owner}}) {
    if (!value->empty()) image[key] = *value;
  }
  if (!image.empty()) json["image"] = image;
  text("vpc", config.vpc);
  list("subnets", config.subnets);
  text("key_pair", config.key_pair);
  list("security_groups", config.security_groups);
  list("ssh_from", config.ssh_from);
  text("instance_profile", config.instance_profile);
  list("buckets", config.buckets);
  list("managed_policies", config.managed_policies);
  if (config.root_volume.value > 0) json["root_volume"] = config.root_volume.value;
  text("commands", config.commands);
  if (!config.tags.empty()) json["tags"] = config.tags;
  if (config.max_price.nano_usd > 0) json["max_price"] = static_cast<double>(config.max_price.nano_usd) / 1e9;
  if (config.max_price_percent > 0) json["max_price_percent"] = config.max_price_percent;
  if (config.spread_gangs) json["spread_gangs"] = true;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<PoolConfig> parsePoolConfig(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::invalid_argument, "the pool has no section `aws`");
  PoolConfig config;
  try {
    const auto take = [](const Json& from, const char* key, auto& out) {
      if (const auto at = from.find(key); at != from.end()) at->get_to(out);
    };
    take(json, "region", config.region);
    take(json, "profile", config.profile);
    take(json, "zones", config.zones);
    if (const auto image = json.find("image"); image != json.end()) {
      take(*image, "id", config.image_id);
      take(*image, "name", config.image_name);
      take(*image, "parameter", config.image_parameter);
      take(*image, "owner", config.image_owner);
    }
    take(json, "vpc", config.vpc);
    take(json, "subnets", config.subnets);
    take(json, "key_pair", config.key_pair);
    take(json, "security_groups", config.security_groups);
    take(json, "ssh_from", config.ssh_from);
    take(json, "instance_profile", config.instance_profile);
    take(json, "buckets", config.buckets);
    take(json, "managed_policies", config.managed_policies);
    take(json, "root_volume", config.root_volume.value);
    take(json, "commands", config.commands);
    take(json, "tags", config.tags);
    double dollars = 0;
    take(json, "max_price", dollars);
    BUOY_TRY(config.max_price, priceFromUsd(dollars));
    take(json, "max_price_percent", config.max_price_percent);
    take(json, "spread_gangs", config.spread_gangs);
  } catch (const Json::exception& error) {
    return fail(ErrorCode::invalid_argument, std::string("the pool's section `aws`: ") + error.what());
  }
  const auto problems = checkPoolConfig(config);
  if (!problems.empty())
    return fail(ErrorCode::invalid_argument,
                strCat({"the pool's section `aws`: ", problems.front().key, " ", problems.front().message}));
  return config;
}

}  // namespace buoy::cloud::aws
