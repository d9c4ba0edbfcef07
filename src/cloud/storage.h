#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"

// What a job keeps beyond its machines, and what its agent is told about it. Plain values.
namespace buoy::cloud {

// What becomes of a volume or a shared file system when its job has ended.
enum class Deletion : std::uint8_t {
  retain,
  remove,           // "delete"
  create_snapshot,  // an earlier snapshot of that name is kept under another one
  update_snapshot,  // an earlier snapshot of that name is removed
};
enum class VolumeFormat : std::uint8_t { ext4, xfs };
std::string_view toString(Deletion value);
std::string_view toString(VolumeFormat value);

struct VolumeSpec {
  std::string name;  // by which the provider finds it again
  ByteCount size{};  // whole GiB; zero: as large as what it is made from. Never made smaller
  std::string type = "gp3";
  std::int32_t iops = 0;                     // zero: what the type has
  std::int32_t throughput = 0;               // MiB a second; zero: what the type has
  VolumeFormat format = VolumeFormat::ext4;  // of one that has no file system yet
  std::string mount;                         // absolute; empty: /mnt/NAME
  std::string snapshot;  // id or name; empty: one of the volume's own name, if there is any
  Deletion deletion = Deletion::retain;
  bool operator==(const VolumeSpec&) const = default;
};

// A directory that all machines of a job share.
struct FileSystemSpec {
  std::string name;
  std::string mount;                     // absolute; empty: /mnt/NAME
  Deletion deletion = Deletion::retain;  // or remove
  bool operator==(const FileSystemSpec&) const = default;
};

// Whether a name is one that EFS gave ("fs-0123"): then it is that one, which is never made.
bool isFileSystemId(std::string_view name);

struct Storage {
  std::vector<VolumeSpec> volumes;
  std::vector<FileSystemSpec> file_systems;
  bool empty() const { return volumes.empty() && file_systems.empty(); }
  bool operator==(const Storage&) const = default;
};
// One machine's own: every machine of a gang has volumes of its own, NAME-RANK; mounts are filled in.
Storage storageOf(const Storage& storage, std::int32_t machines, std::int32_t rank);

// One problem, by the place that it stands at: "volumes[1].size".
struct StorageProblem {
  std::string field, message;
};
std::vector<StorageProblem> checkStorage(const Storage& storage);

// What an agent mounts before its job begins.
struct Mount {
  std::string name, path;
  // A volume: its id, and the device that it was attached as.
  std::string volume, device;
  VolumeFormat format = VolumeFormat::ext4;
  // A shared file system: where it is served, "10.0.0.7:/".
  std::string server;
  bool operator==(const Mount&) const = default;
};

// The provider's answer for one machine and one attempt, as an object in the store (mountKey).
struct MountOrder {
  Epoch epoch = 0;  // of the attempt that it is for
  std::vector<Mount> mounts;
  std::vector<std::string> told;  // sentences for the job's history
  std::string error;              // not empty: it cannot begin, and why
  bool elsewhere = false;         // on another machine it may
  // Not empty: this is not the answer yet, and what takes so long. `progress` grows as long as it gets on.
  std::string waiting;
  std::uint64_t progress = 0;
  bool operator==(const MountOrder&) const = default;
};
std::string toJson(const MountOrder& order);
// What toJson wrote; invalid_argument otherwise.
Result<MountOrder> parseMountOrder(std::string_view json);
// Below the store. `job_prefix`: "<cluster>/j42".
std::string mountKey(std::string_view job_prefix, MachineId machine);

}  // namespace buoy::cloud
