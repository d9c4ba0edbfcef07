#include "api/aws_section.h"

#include "cloud/aws/pool_config.h"

namespace buoy::api {
namespace {

void readImage(MapReader& reader, cloud::aws::PoolConfig& config) {
  const Node* node = reader.map("image");
  if (node == nullptr) return;
  MapReader image(reader.problems(), *node, reader.pathOf("image"));
  image.get("id", config.image_id);
  image.get("name", config.image_name);
  image.get("parameter", config.image_parameter);
  image.get("owner", config.image_owner);
  image.refuseUnknown();
}

cloud::aws::PoolConfig readAwsPool(MapReader& reader) {
  cloud::aws::PoolConfig config;
  reader.get("region", config.region);
  reader.get("profile", config.profile);
  reader.get("zones", config.zones);
  readImage(reader, config);
  reader.get("vpc", config.vpc);
  reader.get("subnets", config.subnets);
  reader.get("key_pair", config.key_pair);
  reader.get("security_groups", config.security_groups);
  reader.get("ssh_from", config.ssh_from);
  reader.get("instance_profile", config.instance_profile);
  reader.get("buckets", config.buckets);
  reader.get("managed_policies", config.managed_policies);
  reader.get("root_volume", config.root_volume);
  reader.get("commands", config.commands);
  reader.get("tags", config.tags);
  if (reader.get("max_price", config.max_price) && config.max_price.nano_usd == 0)
    reader.wrong("max_price", "must be more than 0");
  if (reader.get("max_price_percent", config.max_price_percent) && config.max_price_percent == 0)
    reader.wrong("max_price_percent", "must be from 1 to 1000");
  reader.get("spread_gangs", config.spread_gangs);
  reader.refuseUnknown();
  return config;
}

}  // namespace

std::string readAwsSection(MapReader& pool) {
  const Node* node = pool.map("aws");
  if (node == nullptr) {
    pool.require("aws");
    return {};
  }
  MapReader reader(pool.problems(), *node, pool.pathOf("aws"));
  const cloud::aws::PoolConfig config = readAwsPool(reader);
  for (const cloud::aws::ConfigProblem& problem : checkPoolConfig(config)) {
    if (!reader.problems().has(reader.pathOf(problem.key))) reader.wrong(problem.key, problem.message);
  }
  return toJson(config);
}

}  // namespace buoy::api
