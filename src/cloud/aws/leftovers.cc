#include "cloud/aws/leftovers.h"

#include <functional>

#include "base/pause.h"
#include "cloud/aws/ebs.h"
#include "cloud/aws/efs.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

constexpr int kTries = 60;
constexpr Duration kEvery = std::chrono::seconds{2};

// Until its last instance has let it go, as long as EC2 says this of it.
Answer<void> whenFree(std::string_view in_use, const std::function<Answer<void>()>& remove,
                      const std::stop_token& stop) {
  for (int tries = 1;; ++tries) {
    auto removed = remove();
    if (removed || removed.error().code != in_use || tries == kTries) return removed;
    if (!pauseFor(kEvery, stop)) return removed;
  }
}

// A mount target is in the security group, which cannot go before it; of a file system that is kept, too: the
// next job makes another.
Answer<void> findShared(Ec2& ec2, const std::string& cluster, std::vector<Leftover>& found,
                        const std::stop_token& stop) {
  Efs efs(ec2.caller());
  auto systems = efs.all(stop);
  // Who may not ask about file systems has none here.
  if (!systems && systems.error().kind == RefusalKind::permission) return {};
  if (!systems) return tl::unexpected(std::move(systems.error()));
  std::vector<Leftover> removed;
  for (const SharedFileSystem& each : *systems) {
    if (each.tag(kClusterTag) != cluster) continue;
    BUOY_ASK(const std::vector<MountTarget> targets, efs.targets(each.id, stop));
    for (const MountTarget& target : targets) found.push_back({Leftover::Kind::mount_target, target.id, {}});
    if (each.tag(kDeletionTag) == toString(Deletion::remove))
      removed.push_back({Leftover::Kind::file_system, each.id, {}});
  }
  found.insert(found.end(), removed.begin(), removed.end());
  return {};
}

}  // namespace

std::string_view toString(Leftover::Kind kind) {
  switch (kind) {
    case Leftover::Kind::instance:
      return "instance";
    case Leftover::Kind::volume:
      return "volume";
    case Leftover::Kind::file_system:
      return "file system";
    case Leftover::Kind::mount_target:
      return "mount target";
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
  std::vector<Filter> deleted = mine;
  deleted.push_back({std::string("tag:") + kDeletionTag, {std::string(toString(Deletion::remove))}});
  BUOY_ASK(const std::vector<Volume> volumes, Ebs(ec2.caller()).volumes(deleted, stop));
  for (const Volume& each : volumes) found.push_back({Leftover::Kind::volume, each.id, {}});
  if (auto shared = findShared(ec2, cluster, found, stop); !shared)
    return tl::unexpected(std::move(shared.error()));
  BUOY_ASK(const std::vector<LaunchTemplate> templates, ec2.templates(mine, stop));
  for (const LaunchTemplate& each : templates)
    found.push_back({Leftover::Kind::launch_template, each.id, {}});
  BUOY_ASK(const std::vector<SecurityGroup> groups, ec2.securityGroups(mine, stop));
  for (const SecurityGroup& each : groups) found.push_back({Leftover::Kind::security_group, each.id, {}});
  auto profile = ec2.instanceProfile(resourceName(cluster), stop);
  if (profile) found.push_back({Leftover::Kind::instance_profile, profile->name, {}});
  if (!profile && profile.error().kind != RefusalKind::not_found)
    return tl::unexpected(std::move(profile.error()));
  BUOY_ASK(const std::vector<std::string> others, ec2.instanceProfiles(resourceName(cluster) + "-", stop));
  for (const std::string& each : others) found.push_back({Leftover::Kind::instance_profile, each, {}});
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
    case Leftover::Kind::volume:
      return whenFree(
          "VolumeInUse", [&] { return Ebs(ec2.caller()).deleteVolume(leftover.id, stop); }, stop);
    case Leftover::Kind::file_system:
      return whenFree(
          "FileSystemInUse", [&] { return Efs(ec2.caller()).remove(leftover.id, stop); }, stop);
    case Leftover::Kind::mount_target:
      return Efs(ec2.caller()).removeTarget(leftover.id, stop);
    case Leftover::Kind::launch_template:
      return ec2.deleteTemplate(leftover.id, stop);
    case Leftover::Kind::security_group:
      return whenFree(
          "DependencyViolation", [&] { return ec2.deleteSecurityGroup(leftover.id, stop); }, stop);
    case Leftover::Kind::instance_profile:
      return ec2.deleteInstanceProfile(leftover.id, stop);
  }
  return {};
}

}  // namespace buoy::cloud::aws
