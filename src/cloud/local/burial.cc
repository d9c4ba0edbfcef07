#include "cloud/local/burial.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/strings.h"
#include "os/command_output.h"
#include "os/files.h"
#include "os/log.h"
#include "os/process_table.h"

namespace buoy::cloud::local {
namespace {

constexpr Duration kKillLimit = std::chrono::seconds{10};
constexpr Duration kShellLimit = std::chrono::seconds{10};
constexpr std::size_t kLogTail = 4096;
constexpr std::size_t kLogTailLines = 20;

std::string lastLines(const std::string& path) {
  auto file = os::openFile(path, O_RDONLY);
  if (!file) return {};
  const off_t size = ::lseek(file->get(), 0, SEEK_END);
  std::string text(kLogTail, '\0');
  const ssize_t n =
      ::pread(file->get(), text.data(), text.size(), std::max<off_t>(size - static_cast<off_t>(kLogTail), 0));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  std::size_t begin = text.size();
  for (std::size_t lines = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && begin != text.size() && ++lines == kLogTailLines) break;
  }
  return text.substr(begin);
}

// A host that was killed took the agent along (PDEATHSIG); without a namespace the rest is found by its
// environment.
void killLeftovers(const MachineDir& dir, const MachineRecord& record) {
  HostRecord host;
  if (auto text = os::readFile(dir.host(), 1u << 20)) host = parseHostRecord(*text).value_or(HostRecord{});
  if (const auto agent = os::ProcessIdentity::parse(host.agent)) {
    if (const auto handle = os::Pidfd::open(*agent)) {
      (void)handle->signal(SIGKILL);
      (void)handle->waitEnded(kKillLimit);
    }
  }
  const std::string marker = record.marker();
  if (!os::killAll([&] { return os::processesWithEnvironment(marker); }, kKillLimit)) {
    os::log(os::LogLevel::error, "processes_survive", {{"machine", record.machine.toString()}});
  }
  for (const std::string& parent : {record.cgroups.cpu_parent, record.cgroups.memory_parent}) {
    if (parent.empty()) continue;
    if (auto removed = os::removeCgroup(parent + "/" + record.cgroupName()); !removed) {
      os::log(os::LogLevel::warn, "cgroup_left", {{"error", removed.error().message}});
    }
  }
}

bool beganContainers(const MachineDir& dir) {
  if (::access(dir.containerMark().c_str(), F_OK) == 0) return true;
  std::error_code error;
  for (const auto& part : std::filesystem::directory_iterator(dir.path() + "/parts", error)) {
    if (::access(MachineDir(part.path()).containerMark().c_str(), F_OK) == 0) return true;
  }
  return false;
}

// The machine's container ended with its agent; what docker or podman keep of it is removed by a program of
// its own, which nobody waits for. The shell ends at once, and what it leaves behind is nobody's child.
void sweepContainers(const MachineDir& dir, const MachineRecord& record) {
  if (!beganContainers(dir)) return;
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  const auto begun =
      os::runCommand({"/bin/sh", "-c", "\"$0\" sweep </dev/null >/dev/null 2>&1 &", record.agent_path},
                     environment, kShellLimit);
  if (!begun) os::log(os::LogLevel::warn, "containers_not_swept", {{"error", begun.error().message}});
}

ExitRecord unrecordedEnd(const MachineDir& dir, std::optional<os::ExitStatus> host_exit, bool wanted) {
  ExitRecord record;
  record.reason = wanted ? engine::GoneReason::terminated : engine::GoneReason::vanished;
  const auto told = host_exit && !host_exit->signalled ? reasonOf(host_exit->code) : std::nullopt;
  if (told) record.reason = *told;
  if (::access(dir.path().c_str(), F_OK) != 0) {
    record.detail = "its directory was removed";
  } else if (told) {
    record.detail = "its host ended without writing down why";
  } else if (wanted) {
    record.detail = "terminated by its provider";
  } else {
    record.detail =
        "its host ended with " + (host_exit ? host_exit->toString() : std::string("an unknown status"));
  }
  return record;
}

}  // namespace

ExitRecord concludeMachine(const MachineDir& dir, const MachineRecord& record,
                           std::optional<os::ExitStatus> host_exit, bool wanted) {
  ExitRecord ended;
  const auto text = os::readFile(dir.exit(), 64u << 10);
  auto written =
      text ? parseExitRecord(*text) : Result<ExitRecord>(fail(ErrorCode::not_found, "no exit.json"));
  if (written) {
    ended = std::move(*written);
  } else {
    killLeftovers(dir, record);
    ended = unrecordedEnd(dir, host_exit, wanted);
  }
  if (ended.reason == engine::GoneReason::vanished) {
    os::log(os::LogLevel::warn, "machine_vanished",
            {{"machine", record.machine.toString()},
             {"detail", ended.detail},
             {"agent_log", lastLines(dir.agentLog())}});
  }
  sweepContainers(dir, record);
  return ended;
}

Trash::Trash(std::string directory) : directory_(std::move(directory)) {
  (void)os::makeDirectories(directory_, 0700);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory_.c_str()), ::closedir);
  while (listing) {
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") queue_.lock()->paths.push_back(directory_ + "/" + name);
  }
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Trash::discard(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  const std::string target = strCat({directory_, "/", path.substr(path.find_last_of('/') + 1), "-",
                                     std::to_string(::getpid()), "-", std::to_string(counter.fetch_add(1))});
  if (std::rename(path.c_str(), target.c_str()) != 0) {
    if (errno != ENOENT) os::log(os::LogLevel::warn, "not_discarded", {{"path", path}, {"errno", errno}});
    return;
  }
  queue_.lock()->paths.push_back(target);
  changed_.notify_one();
}

void Trash::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::string path;
    {
      auto queue = queue_.lock();
      changed_.wait(queue.mutexLock(), stop, [&] { return !queue->paths.empty(); });
      if (queue->paths.empty()) return;
      path = std::move(queue->paths.front());
      queue->paths.pop_front();
    }
    if (auto removed = os::removeTree(path); !removed) {
      os::log(os::LogLevel::warn, "not_removed", {{"path", path}, {"error", removed.error().message}});
    }
  }
}

}  // namespace buoy::cloud::local
