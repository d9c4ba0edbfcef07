#include "gateways/spotty/aws_pool.h"

#include <cstdlib>

#include "gateways/spotty/names.h"

namespace buoy::gateways::spotty {
namespace {

constexpr std::uint64_t kRootGib = 1ull << 30;

// What the keeper needs, where the image has it not.
constexpr const char* kTools = R"sh(missing=
command -v tmux >/dev/null || missing=tmux
command -v docker >/dev/null || command -v podman >/dev/null || missing="$missing docker"
if [ -n "$missing" ]; then
  if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update
    apt-get -yq install $(echo "$missing" | sed 's/docker/docker.io/')
  elif command -v dnf >/dev/null; then dnf -yq install $missing
  else yum -yq install $missing
  fi
fi
if command -v docker >/dev/null && ! docker version >/dev/null 2>&1; then
  systemctl start docker || service docker start || :
fi
)sh";

}  // namespace

cloud::aws::PoolConfig awsConfigOf(const Project& project, const Instance& instance,
                                   const Parameters& parameters, const AwsFacts& facts) {
  cloud::aws::PoolConfig config;
  config.region = parameters.region;
  if (!parameters.zone.empty()) config.zones = {parameters.zone};
  if (!parameters.subnet.empty()) config.subnets = {parameters.subnet};
  config.image_id = facts.image.empty() ? parameters.ami_id : facts.image;
  if (config.image_id.empty()) config.image_name = parameters.ami_name;
  config.key_pair = keyPairName(project.name, parameters.region);
  config.ssh_from = {"0.0.0.0/0"};  // as Spotty: who works there is at home, on the train, …
  const std::string& arn = parameters.instance_profile_arn;
  config.instance_profile = arn.substr(arn.rfind('/') + 1);  // of an ARN, or a name as it is
  if (arn.empty()) {
    config.buckets = {facts.bucket};
    config.managed_policies = parameters.managed_policy_arns;
  }
  const std::uint64_t root = parameters.root_volume_gib > 0 ? parameters.root_volume_gib
                                                            : static_cast<std::uint64_t>(facts.root_gib);
  config.root_volume = ByteCount{root * kRootGib};
  config.commands = kTools;
  config.tags["Name"] = machineName(project.name, instance.name);
  if (!parameters.max_price.empty()) {
    if (const auto price = priceFromUsd(std::strtod(parameters.max_price.c_str(), nullptr)))
      config.max_price = *price;
  }
  return config;
}

engine::Pool awsPoolOf(const Project& project, const Instance& instance, const Parameters& parameters,
                       const AwsFacts& facts) {
  engine::Pool pool;
  pool.name = workspaceName(project.name, instance.name);
  pool.provider = "aws";
  pool.types = {facts.type};
  pool.max_machines = 2;  // one that is to go, and the one that takes its place
  pool.spot = parameters.spot;
  pool.on_demand = !parameters.spot;
  pool.billing = cloud::aws::kBilling;
  pool.provider_config = toJson(awsConfigOf(project, instance, parameters, facts));
  return pool;
}

}  // namespace buoy::gateways::spotty
