#include "cloud/aws/leftovers.h"

#include "base/pause.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

constexpr int kGroupTries = 60;
constexpr Duration kGroupEvery = std::chrono::seconds{2};

}  // namespace

std::string_view toString(Leftover::Kind kind) {
  switch (kind) {
    case Leftover::Kind::instance:
      return "instance";
    case Leftover::Kind::launch_template:
      return "launch template";
    case Leftover::Kind::security_group:
      return "security group";
    case Leftover::Kind::instance_profile:
      return "instance profile and role";
  }
  return "";
}

Answer<std::vector<Leftover>> findLeftovers(Ec2& ec2, const std::string& cluster,
                                            const std::stop_token& stop) {
  const std::vector<Filter> mine{{std::string("tag:") + kClusterTag, {cluster}}};
  std::vector<Leftover> found;
  std::vector<Filter> alive = mine;
  alive.push_back({"instance-state-name", {"pending", "running", "stopping", "stopped"}});
  auto described = ec2.describeInstances(
      alive,
      [&](std::vector<Instance> page) {
        for (const Instance& instance : page) {
          found.push_back({Leftover::Kind::instance, instance.id,
                           MachineId::parse(instance.tag(kMachineTag)).value_or(MachineId{})});
        }
      },
      stop);
  if (!described) return tl::unexpected(std::move(described.error()));
  BUOY_ASK(const std::vector<LaunchTemplate> templates, ec2.templates(mine, stop));
  for (const LaunchTemplate& each : templates)
    found.push_back({Leftover::Kind::launch_template, each.id, {}});
  BUOY_ASK(const std::vector<SecurityGroup> groups, ec2.securityGroups(mine, stop));
  for (const SecurityGroup& each : groups) found.push_back({Leftover::Kind::security_group, each.id, {}});
  auto profile = ec2.instanceProfile(resourceName(cluster), stop);
  if (profile) found.push_back({Leftover::Kind::instance_profile, profile->name, {}});
  if (!profile && profile.error().kind != RefusalKind::not_found)
    return tl::unexpected(std::move(profile.error()));
  return found;
}

Answer<void> removeLeftover(Ec2& ec2, const Leftover& leftover, const std::stop_token& stop) {
  switch (leftover.kind) {
    case Leftover::Kind::instance: {
      auto ended = ec2.terminate({leftover.id}, stop);
      if (!ended && ended.error().kind != RefusalKind::not_found)
        return tl::unexpected(std::move(ended.error()));
      return {};
    }
    case Leftover::Kind::launch_template:
      return ec2.deleteTemplate(leftover.id, stop);
    case Leftover::Kind::security_group:
      for (int tries = 1;; ++tries) {
        auto removed = ec2.deleteSecurityGroup(leftover.id, stop);
        if (removed || removed.error().code != "DependencyViolation" || tries == kGroupTries) return removed;
        if (!pauseFor(kGroupEvery, stop)) return removed;
      }
    case Leftover::Kind::instance_profile:
      return ec2.deleteInstanceProfile(leftover.id, stop);
  }
  return {};
}

}  // namespace buoy::cloud::aws
