#include "agent/container_sweep.h"

#include <fcntl.h>
#include <sys/file.h>

#include <filesystem>
#include <optional>

#include "agent/environment.h"
#include "base/strings.h"
#include "container/podman_service.h"
#include "os/environment.h"
#include "os/fd.h"
#include "os/files.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;
using container::Engine;

// Where this machine does not see the owner's directory, nothing is known of it.
bool ownerIsGone(const std::string& job_directory) {
  if (!job_directory.starts_with('/')) return false;
  fs::path machines = fs::path(job_directory).parent_path().parent_path();
  if (machines.filename() == "parts") machines = machines.parent_path().parent_path();  // with their host
  std::error_code error;
  if (!fs::is_directory(machines, error)) return false;
  const auto lock = os::openFile(containerLock(job_directory), O_RDONLY);
  if (!lock) return lock.error().code == ErrorCode::not_found;
  return ::flock(lock->get(), LOCK_EX | LOCK_NB) == 0;
}

Result<std::unique_ptr<Engine>> connectToRuntime(const container::Environment& environment,
                                                 const std::string& scratch,
                                                 std::optional<container::PodmanService>& service) {
  BUOY_TRY(const container::Runtime runtime, container::findRuntime(environment));
  if (runtime.kind == container::Runtime::Kind::socket) return Engine::connect(runtime.endpoint, {});
  BUOY_TRY(auto started, container::PodmanService::start(runtime.program, scratch + "/podman.sock",
                                                         entriesOf(environment)));
  return Engine::connect(service.emplace(std::move(started)).endpoint(), {});
}

}  // namespace

std::string containerLock(const std::string& job_directory) {
  return job_directory + "/lock";
}

void sweepContainers(Engine& engine, const std::string& own) {
  const auto all = engine.list(kContainerOwnerLabel);
  if (!all) return os::log(os::LogLevel::warn, "containers_not_listed", {{"error", all.error().message}});
  for (const Engine::Listed& each : *all) {
    if (each.label != own && !ownerIsGone(each.label)) continue;
    const Status removed = engine.remove(each.id);
    os::log(
        removed ? os::LogLevel::info : os::LogLevel::warn, "container_swept",
        {{"container", each.id}, {"owner", each.label}, {"error", removed ? "" : removed.error().message}});
  }
}

int runContainerSweep() {
  const auto scratch = os::TempDir::create("buoy-sweep");
  if (!scratch) return 1;
  std::optional<container::PodmanService> service;
  const auto engine = connectToRuntime(os::processEnvironment(), scratch->path(), service);
  if (!engine) {
    os::log(os::LogLevel::warn, "containers_not_swept", {{"error", engine.error().message}});
    return 1;
  }
  sweepContainers(**engine, {});
  return 0;
}

}  // namespace buoy::agent
