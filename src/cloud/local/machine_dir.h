#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "cloud/local/market.h"
#include "engine/events.h"
#include "os/cgroup.h"
#include "os/namespace.h"

// What lies in the directory of a local machine, and where (docs/formats/local-machine.md). The provider and
// the host meet only here: either may be killed and started again.
namespace buoy::cloud::local {

// The one place that knows the names. The host holds a lock (flock) on lock() for as long as it lives: a
// machine is alive exactly while that lock is held.
class MachineDir {
 public:
  explicit MachineDir(std::string path) : path_(std::move(path)) {}
  static MachineDir of(const std::string& state_dir, MachineId machine) {
    return MachineDir(state_dir + "/machines/" + machine.toString());
  }
  const std::string& path() const { return path_; }
  // Of all machines of the state directory: their inputs come from one disk.
  std::string cache() const {
    return std::filesystem::path(path_).parent_path().parent_path().string() + "/cache";
  }
  std::string lock() const { return path_ + "/host.lock"; }
  std::string machine() const { return path_ + "/machine.json"; }  // MachineRecord, by the provider
  std::string agentConfig() const { return path_ + "/agent.json"; }
  std::string agentLog() const { return path_ + "/agent.log"; }
  std::string notice() const { return path_ + "/notice.json"; }  // by the host, read by the agent
  std::string hostPid() const { return path_ + "/host.pid"; }    // os::ProcessIdentity, by the host
  std::string host() const { return path_ + "/host.json"; }      // HostRecord, by the host
  std::string exit() const { return path_ + "/exit.json"; }      // ExitRecord, by the host, last of all
  // The Docker Engine API for the machine's containers, by podman, served by the host.
  std::string containerSocket() const { return path_ + "/containers.sock"; }
  // The agent's; there when a container was begun (agent/environment.h, container/init/protocol.h).
  std::string containerMark() const { return path_ + "/job/init.sock"; }
  // Orders to the host: HostRequest each, by the provider; the host removes what it has carried out.
  std::string requests() const { return path_ + "/requests"; }

 private:
  std::string path_;
};

// How a machine is to be shut in.
enum class Isolation { pid_namespace, user_namespace, session };
std::string_view isolationText(Isolation isolation);  // for people

// The descriptor by which the provider hands the locked lock() to a new host.
constexpr int kInheritedLockFd = 3;

struct MachineRecord {
  std::string cluster;
  MachineId machine;
  std::string pool, type;
  engine::Market market = engine::Market::spot;
  std::string provider_config;
  std::uint64_t order = 0;  // among the pool's spot machines, from 1; zero: not counted
  std::string agent_path;
  std::string
      podman;  // its path, where it is to run the machine's containers; empty: another runtime, or none
  os::CgroupLimits limits;
  Isolation isolation = Isolation::session;
  os::CgroupSupport cgroups;
  std::optional<Appointment> appointment;

  // What every process of the machine has in its environment, unless it removes it.
  std::string marker() const { return "BUOY_MACHINE=" + cluster + "/" + machine.toString(); }
  std::string cgroupName() const { return "buoy-" + cluster + "-" + machine.toString(); }
};
std::string toJson(const MachineRecord& record);
Result<MachineRecord> parseMachineRecord(std::string_view json);

struct HostRecord {
  std::string isolation;             // for people
  std::vector<std::string> cgroups;  // directories, to be removed when the host could not
  std::string agent;                 // os::ProcessIdentity
};
std::string toJson(const HostRecord& record);
Result<HostRecord> parseHostRecord(std::string_view json);

struct ExitRecord {
  engine::GoneReason reason = engine::GoneReason::vanished;
  std::string detail;
  Time at{};
};
// The host's exit code, for a directory in which exit.json could not be written any more.
int exitCodeOf(engine::GoneReason reason);
std::optional<engine::GoneReason> reasonOf(int exit_code);
std::string toJson(const ExitRecord& record);
Result<ExitRecord> parseExitRecord(std::string_view json);

// To be carried out from the moment the host reads it.
struct HostRequest {
  enum class Kind {
    reclaim,     // injected: take the machine, unless an earlier end is due
    reschedule,  // the market's new appointment (or none), unless its notice has been given already
  };
  Kind kind = Kind::reclaim;
  std::optional<Appointment> appointment;
};
std::string toJson(const HostRequest& request);
Result<HostRequest> parseHostRequest(std::string_view json);

// {"deadline": RFC 3339}
std::string noticeJson(Time deadline);

// Temp and rename: whole after any process is killed. Not synced: nothing here outlives the machine it stands
// on.
Status replaceFile(const std::string& path, std::string_view content, unsigned mode = 0600);
// Whether a name in a directory is that of a file still being written by replaceFile.
bool isTemporary(std::string_view name);

}  // namespace buoy::cloud::local
