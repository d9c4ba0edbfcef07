#include "gateways/batch/run_properties.h"

#include <algorithm>
#include <map>

#include "base/strings.h"

namespace buoy::gateways::batch {
namespace {

Status readUlimits(front::Body& body, const api::Node* list, const std::string& path, container::Spec& spec) {
  return front::forEachMap(list, path + ".ulimits", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".ulimits");
    std::string name;
    container::Ulimit limit;
    for (const char* key : {"name", "softLimit", "hardLimit"}) fields.require(key);
    fields.get("name", name);
    fields.get("softLimit", limit.soft);
    fields.get("hardLimit", limit.hard);
    spec.ulimits[name] = limit;
    return body.check();
  });
}

// Where the directory of a file system of EFS is on the machine, which has it mounted as a job's own
// (docs/aws.md).
Result<std::string> readEfs(front::Body& body, const api::Node* node, const std::string& path,
                            std::vector<cloud::FileSystemSpec>& file_systems) {
  auto fields = body.fields(node, path);
  std::string id, directory, encryption = "DISABLED";
  fields.require("fileSystemId");
  if (fields.get("fileSystemId", id) && !cloud::isFileSystemId(id))
    fields.wrong("fileSystemId", "must be the id of a file system (fs-…), not " + inQuotes(id));
  fields.get("rootDirectory", directory);
  if (!directory.empty() && !directory.starts_with('/'))
    fields.wrong("rootDirectory", "must be an absolute path, not " + inQuotes(directory));
  if (fields.get("transitEncryption", encryption) && encryption != "DISABLED")
    fields.wrong("transitEncryption", "must be DISABLED: it is mounted by plain NFS 4.1");
  const api::Node* const authorization = fields.map("authorizationConfig");
  if (authorization != nullptr && !authorization->items.empty())
    fields.wrong("authorizationConfig", "needs transit encryption, which is not done here: leave it out");
  BUOY_TRY_VOID(body.check());
  const bool known = std::any_of(file_systems.begin(), file_systems.end(),
                                 [&](const cloud::FileSystemSpec& each) { return each.name == id; });
  if (!known) file_systems.push_back({id, "/mnt/" + id, cloud::Deletion::retain});
  while (directory.ends_with('/')) directory.pop_back();
  return strCat({"/mnt/", id, directory});
}

// Where the mount points of each volume lead on the machine; empty: a new directory for each attempt.
Result<std::map<std::string, std::string>> readVolumes(front::Body& body, const api::Node* list,
                                                       const std::string& path,
                                                       std::vector<cloud::FileSystemSpec>& file_systems) {
  std::map<std::string, std::string> places;
  const auto add = [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".volumes");
    std::string name;
    fields.require("name");
    fields.get("name", name);
    if (const api::Node* const efs = fields.map("efsVolumeConfiguration")) {
      BUOY_TRY(places[name], readEfs(body, efs, path + ".volumes.efsVolumeConfiguration", file_systems));
    } else if (const api::Node* const host = fields.map("host")) {
      body.fields(host, path + ".volumes.host").get("sourcePath", places[name]);
    }
    places.try_emplace(name);
    return body.check();
  };
  BUOY_TRY_VOID(front::forEachMap(list, path + ".volumes", add));
  return places;
}

Status readMounts(front::Body& body, const api::Node* list, const std::string& path,
                  const std::map<std::string, std::string>& places, container::Spec& spec) {
  return front::forEachMap(list, path + ".mountPoints", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".mountPoints");
    std::string name;
    container::Volume volume;
    fields.get("sourceVolume", name);
    fields.get("containerPath", volume.path);
    fields.get("readOnly", volume.read_only);
    const auto place = places.find(name);
    if (place == places.end())
      fields.wrong("sourceVolume", inQuotes(name) + " is no volume of this job definition");
    if (place != places.end()) volume.host = place->second;
    spec.volumes.push_back(std::move(volume));
    return body.check();
  });
}

Status readDevices(front::Body& body, const api::Node* list, const std::string& path, container::Spec& spec) {
  return front::forEachMap(list, path + ".devices", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".devices");
    std::string host, inside, rights;
    std::vector<std::string> permissions;
    fields.require("hostPath");
    fields.get("hostPath", host);
    fields.get("containerPath", inside);
    fields.get("permissions", permissions);
    for (const std::string& each : permissions)
      rights += each == "READ" ? "r" : each == "WRITE" ? "w" : each == "MKNOD" ? "m" : "";
    spec.runtime_args.push_back(
        strCat({"--device=", host, ":", inside.empty() ? host : inside, rights.empty() ? "" : ":" + rights}));
    return body.check();
  });
}

Status readTmpfs(front::Body& body, const api::Node* list, const std::string& path, container::Spec& spec) {
  return front::forEachMap(list, path + ".tmpfs", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".tmpfs");
    std::string place;
    std::int64_t mib = 0;
    std::vector<std::string> options;
    for (const char* key : {"containerPath", "size"}) fields.require(key);
    fields.get("containerPath", place);
    fields.get("size", mib);
    fields.get("mountOptions", options);
    options.insert(options.begin(), strCat({"size=", std::to_string(mib), "m"}));
    spec.runtime_args.push_back(strCat({"--tmpfs=", place, ":", join(options, ",")}));
    return body.check();
  });
}

// maxSwap is beside the memory; docker counts both together, which needs the memory: 0 alone is no swap, as
// it is anyway.
Status readLinux(front::Body& body, const api::Node* node, const std::string& path, container::Spec& spec) {
  if (node == nullptr) return {};
  auto fields = body.fields(node, path);
  std::uint64_t shared_mib = 0;
  std::int64_t swappiness = -1;
  if (fields.get("sharedMemorySize", shared_mib)) spec.shm_size = ByteCount{shared_mib << 20};
  if (fields.get("swappiness", swappiness))
    spec.runtime_args.push_back("--memory-swappiness=" + std::to_string(swappiness));
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(readDevices(body, fields.list("devices"), path, spec));
  return readTmpfs(body, fields.list("tmpfs"), path, spec);
}

}  // namespace

Status readRunProperties(front::Body& body, const api::Node* node, const std::string& path,
                         container::Spec& spec, std::vector<cloud::FileSystemSpec>& file_systems) {
  if (node == nullptr) return {};
  auto fields = body.fields(node, path);
  bool read_only = false;
  fields.get("user", spec.user);
  fields.get("privileged", spec.privileged);
  if (fields.get("readonlyRootFilesystem", read_only) && read_only)
    spec.runtime_args.emplace_back("--read-only");
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(readUlimits(body, fields.list("ulimits"), path, spec));
  BUOY_TRY(const auto places, readVolumes(body, fields.list("volumes"), path, file_systems));
  BUOY_TRY_VOID(readMounts(body, fields.list("mountPoints"), path, places, spec));
  return readLinux(body, fields.map("linuxParameters"), path + ".linuxParameters", spec);
}

}  // namespace buoy::gateways::batch
