#include "cloud/local/machine_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>

#include "base/strings.h"
#include "cloud/local/machine_dir.h"
#include "container/podman_service.h"
#include "net/sockets.h"
#include "os/cgroup.h"
#include "os/event_loop.h"
#include "os/files.h"
#include "os/log.h"
#include "os/pidfd.h"
#include "os/process.h"
#include "os/process_table.h"
#include "os/system_clock.h"

namespace buoy::cloud::local {
namespace {

using engine::GoneReason;

// How long killed processes may take to end (a process that waits for a broken disk cannot be killed at all).
constexpr Duration kKillLimit = std::chrono::seconds{30};
// A process with less could not even start an interpreter.
constexpr std::uint64_t kLeastDataLimit = 64ull << 20;

constexpr Duration kPodmanUnused = std::chrono::seconds{30};

constexpr int kWatchedSignals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGIO};
// Only where the kernel has no dnotify.
constexpr Duration kLookInterval = std::chrono::seconds{1};

Result<os::Fd> openSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : kWatchedSignals) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  os::Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return failErrno(errno, "watch signals");
  return fd;
}

// The provider hands over the lock as an open file, locked before this process existed, so that there is no
// instant in which the machine looks dead. Started by hand, the host takes the lock itself.
Result<os::Fd> holdLock(const MachineDir& dir) {
  BUOY_TRY(os::Fd own, os::openFile(dir.lock(), O_RDWR | O_CREAT, 0600));
  struct stat mine {};
  struct stat given {};
  if (::fstat(own.get(), &mine) == 0 && ::fstat(kInheritedLockFd, &given) == 0 &&
      mine.st_dev == given.st_dev && mine.st_ino == given.st_ino) {
    os::Fd inherited(::fcntl(kInheritedLockFd, F_DUPFD_CLOEXEC, 0));
    ::close(kInheritedLockFd);
    if (inherited && ::flock(inherited.get(), LOCK_EX | LOCK_NB) == 0) return inherited;
  }
  if (::flock(own.get(), LOCK_EX | LOCK_NB) == 0) return own;
  return fail(ErrorCode::already_exists, "this machine already has a host");
}

// SIGIO at changes in a directory. Not inotify: closing that waits for the kernel's cleaning up, some 10 ms,
// and this process's end is what a job that lost its machine waits for.
Result<os::Fd> signalChanges(const std::string& directory, long events) {
  BUOY_TRY(os::Fd fd, os::openFile(directory, O_RDONLY | O_DIRECTORY));
  if (::fcntl(fd.get(), F_NOTIFY, events | static_cast<long>(DN_MULTISHOT)) != 0)
    return failErrno(errno, "watch " + directory);
  return fd;
}

std::vector<std::string> environmentWith(const std::string& entry) {
  std::vector<std::string> environment{entry};
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  return environment;
}

// Without a CPU controller: as many cores as the machine has CPUs, spread over the host's by the machine's
// number.
std::vector<int> affinityFor(MachineId machine, int milli_cpus) {
  cpu_set_t set;
  if (milli_cpus <= 0 || ::sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<int> allowed;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) allowed.push_back(cpu);
  }
  const std::size_t wanted = static_cast<std::size_t>(milli_cpus + 999) / 1000;
  if (wanted >= allowed.size()) return {};
  std::vector<int> chosen;
  for (std::size_t i = 0; i < wanted; ++i)
    chosen.push_back(allowed[(machine.value * wanted + i) % allowed.size()]);
  return chosen;
}

class MachineHost {
 public:
  MachineHost(MachineDir dir, MachineRecord record, os::Fd signals, os::Fd lock)
      : dir_(std::move(dir)),
        record_(std::move(record)),
        signals_(std::move(signals)),
        lock_(std::move(lock)),
        loop_(clock_) {}

  GoneReason run();

 private:
  void limit(os::SpawnOptions& options);
  Status startAgent();
  Result<os::Spawned> spawnAgent(os::SpawnOptions& options);
  void leaveCgroups();
  void writeHostRecord();
  void offerContainers();
  container::Serving serving() const;
  void awaitContainerUse();
  void keepAppointment(const std::optional<Appointment>& appointment);
  void take(std::optional<Duration> notice, const std::string& who);
  void onSignal();
  void watchDirectory();
  void onChange();
  bool directoryIsMine() const;
  void carryOutRequests();
  void carryOut(const std::string& path);
  void reapChildren();
  void onAgentEnd();
  bool killEverything();
  void finish(GoneReason reason, const std::string& detail);

  const MachineDir dir_;
  MachineRecord record_;
  os::SystemClock clock_;
  os::Fd signals_;
  os::Fd lock_;
  os::Fd directory_watch_, request_watch_;
  os::EventLoop loop_;
  os::Cgroup cgroup_;
  std::vector<os::Fd> cgroup_files_;
  os::Spawned agent_;
  net::UnixListener container_listener_;
  os::Spawned podman_;  // serves there, while somebody uses it
  std::optional<os::ExitStatus> agent_exit_;
  os::EventLoop::TimerId appointment_timer_ = 0;
  os::EventLoop::TimerId deadline_timer_ = 0;
  std::optional<Time> deadline_;  // of a notice that was given
  std::optional<GoneReason> gone_;
};

GoneReason MachineHost::run() {
  if (auto self = os::identify(::getpid())) (void)replaceFile(dir_.hostPid(), self->toString() + "\n");
  offerContainers();
  if (auto started = startAgent(); !started) {
    finish(GoneReason::vanished, "its agent could not be started: " + started.error().message);
    return *gone_;
  }
  writeHostRecord();
  loop_.watch(signals_.get(), [this] { onSignal(); });
  keepAppointment(record_.appointment);
  watchDirectory();
  if (!gone_) loop_.run();
  return *gone_;
}

// Control groups where the provider found them permitted; else what a process can be given: CPUs by affinity,
// and RLIMIT_DATA for memory. Not RLIMIT_AS: a framework reserves far more addresses than it ever uses.
void MachineHost::limit(os::SpawnOptions& options) {
  auto group = os::Cgroup::create(record_.cgroups, record_.cgroupName(), record_.limits);
  if (group) cgroup_ = std::move(*group);
  auto files = group ? cgroup_.openProcs() : Result<std::vector<os::Fd>>(fail(group.error()));
  if (files) {
    cgroup_files_ = std::move(*files);
  } else {
    os::log(os::LogLevel::warn, "cgroup_failed", {{"error", files.error().message}});
    leaveCgroups();
  }
  options.cgroup_procs.clear();
  for (const os::Fd& file : cgroup_files_) options.cgroup_procs.push_back(file.get());
  if (!record_.cgroups.cpu()) options.cpus = affinityFor(record_.machine, record_.limits.milli_cpus);
  if (!record_.cgroups.memory() && record_.limits.memory.value > 0) {
    options.rlimits = {{RLIMIT_DATA, std::max(record_.limits.memory.value, kLeastDataLimit)}};
  }
}

void MachineHost::leaveCgroups() {
  record_.cgroups = {};
  cgroup_files_.clear();
  for (const std::string& directory : cgroup_.directories()) (void)os::removeCgroup(directory);
  cgroup_ = {};
}

Status MachineHost::startAgent() {
  BUOY_TRY(const os::Fd output, os::openFile(dir_.agentLog(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  os::SpawnOptions options;
  options.command = {record_.agent_path, "run", "--config", dir_.agentConfig()};
  options.environment = environmentWith(record_.marker());
  options.directory = dir_.path();
  options.fds = {{output.get(), 1}, {output.get(), 2}};
  options.new_session = true;
  options.parent_death_signal = SIGKILL;  // a host that is killed takes its machine along
  limit(options);
  BUOY_TRY(agent_, spawnAgent(options));
  cgroup_files_.clear();
  return {};
}

// What the provider found permitted may still be refused here; then with less.
Result<os::Spawned> MachineHost::spawnAgent(os::SpawnOptions& options) {
  if (record_.isolation == Isolation::pid_namespace) options.namespaces = os::NamespaceMode::pid;
  if (record_.isolation == Isolation::user_namespace) options.namespaces = os::NamespaceMode::user_pid;
  // What a daemon leaves behind becomes this process's child, and so can be found.
  if (record_.isolation == Isolation::session) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto spawned = os::spawn(options);
  if (spawned) return spawned;
  os::log(os::LogLevel::warn, "agent_not_started", {{"error", spawned.error().message}});
  if (!options.cgroup_procs.empty()) {
    leaveCgroups();
    limit(options);
    return spawnAgent(options);
  }
  if (record_.isolation == Isolation::session) return spawned;
  record_.isolation = Isolation::session;
  options.namespaces = os::NamespaceMode::none;
  return spawnAgent(options);
}

// Outside of the machine's namespaces and limits, where the user's own podman sees the containers as well.
// Podman runs only while somebody uses it.
void MachineHost::offerContainers() {
  if (record_.podman.empty()) return;
  auto listener = net::listenOnUnixSocket(dir_.containerSocket());
  if (!listener)
    return os::log(os::LogLevel::warn, "containers_not_offered", {{"error", listener.error().message}});
  container_listener_ = std::move(*listener);
  awaitContainerUse();
}

// Without a namespace this process finds what to kill by descent, and what loses its parent becomes its
// child. The containers' monitors must not: one that is killed can tell podman of no end. They are podman's
// then, which has to stay.
container::Serving MachineHost::serving() const {
  if (record_.isolation == Isolation::session) return {.adopts_monitors = true};
  return {.unused = kPodmanUnused};
}

void MachineHost::awaitContainerUse() {
  loop_.watch(container_listener_.fd.get(), [this] {
    loop_.unwatch(container_listener_.fd.get());
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
    auto podman =
        container::spawnPodman(record_.podman, container_listener_.fd, std::move(environment), serving());
    if (podman) {
      podman_ = std::move(*podman);
      return;
    }
    os::log(os::LogLevel::error, "podman_not_started", {{"error", podman.error().message}});
    container_listener_ = {};  // whoever waits there learns that nobody serves
  });
}

void MachineHost::writeHostRecord() {
  HostRecord record;
  record.isolation = isolationText(record_.isolation);
  record.cgroups = cgroup_.directories();
  if (auto agent = os::identify(agent_.pid)) record.agent = agent->toString();
  (void)replaceFile(dir_.host(), toJson(record));
}

void MachineHost::keepAppointment(const std::optional<Appointment>& appointment) {
  loop_.cancel(std::exchange(appointment_timer_, 0));
  if (!appointment) return;
  appointment_timer_ = loop_.after(
      appointment->after, [this, notice = appointment->notice] { take(notice, "taken by the market"); });
}

// With notice: says so in the file that stands in for a cloud's metadata service, and kills at the deadline.
void MachineHost::take(std::optional<Duration> notice, const std::string& who) {
  if (!notice || *notice <= Duration{}) {
    finish(GoneReason::reclaimed,
           who + (deadline_ ? " before the deadline of its notice" : " without notice"));
    return;
  }
  const Time deadline = clock_.now() + *notice;
  if (deadline_ && *deadline_ <= deadline) return;
  deadline_ = deadline;
  if (auto written = replaceFile(dir_.notice(), noticeJson(deadline)); !written) {
    os::log(os::LogLevel::error, "notice_not_written", {{"error", written.error().message}});
  }
  loop_.cancel(deadline_timer_);
  deadline_timer_ =
      loop_.after(*notice, [this, detail = who + " after a notice of " + formatDuration(*notice)] {
        finish(GoneReason::reclaimed, detail);
      });
}

void MachineHost::onSignal() {
  signalfd_siginfo info{};
  while (!gone_ && ::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      reapChildren();
      if (agent_exit_) onAgentEnd();
    } else if (info.ssi_signo == SIGIO) {
      onChange();
    } else if (info.ssi_signo != SIGHUP) {
      finish(GoneReason::terminated, "terminated by its provider");
    }
  }
}

void MachineHost::watchDirectory() {
  auto own = signalChanges(dir_.path(), DN_DELETE | DN_RENAME);
  auto requests = signalChanges(dir_.requests(), DN_CREATE | DN_RENAME);
  if (own && requests) {
    directory_watch_ = std::move(*own);
    request_watch_ = std::move(*requests);
  } else {
    loop_.after(kLookInterval, [this] { watchDirectory(); });
  }
  onChange();  // what came before the watch
}

void MachineHost::onChange() {
  if (gone_) return;
  if (directoryIsMine()) {
    carryOutRequests();
  } else {
    finish(GoneReason::vanished, "its directory was removed");
  }
}

// The lock that this process holds is the one that others find there.
bool MachineHost::directoryIsMine() const {
  struct stat held {};
  struct stat found {};
  return ::fstat(lock_.get(), &held) == 0 && ::stat(dir_.lock().c_str(), &found) == 0 &&
         held.st_dev == found.st_dev && held.st_ino == found.st_ino;
}

void MachineHost::carryOutRequests() {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(dir_.requests().c_str()), ::closedir);
  while (listing) {
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name[0] != '.' && !isTemporary(name)) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) carryOut(dir_.requests() + "/" + name);
}

void MachineHost::carryOut(const std::string& path) {
  if (gone_) return;
  const auto text = os::readFile(path, 64u << 10);
  if (!text) return;
  ::unlink(path.c_str());
  const auto request = parseHostRequest(*text);
  if (!request) {
    os::log(os::LogLevel::warn, "bad_request", {{"error", request.error().message}});
    return;
  }
  switch (request->kind) {
    case HostRequest::Kind::reclaim:
      take(request->appointment ? request->appointment->notice : std::nullopt, "reclaimed by request");
      break;
    case HostRequest::Kind::reschedule:
      if (!deadline_) keepAppointment(request->appointment);
      break;
  }
}

void MachineHost::reapChildren() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == podman_.pid && pid != 0) {
      podman_ = {};
      if (!gone_ && container_listener_.fd) awaitContainerUse();
    }
    if (pid != agent_.pid) continue;
    if (WIFSIGNALED(status)) {
      agent_exit_ = os::ExitStatus{128 + WTERMSIG(status), true};
    } else {
      agent_exit_ = os::ExitStatus{WEXITSTATUS(status), false};
    }
  }
}

void MachineHost::onAgentEnd() {
  if (agent_exit_->code == 0) {
    finish(GoneReason::terminated, "its agent shut it down");
  } else {
    finish(GoneReason::vanished, "its agent ended with " + agent_exit_->toString());
  }
}

// In a namespace the kernel kills everything with the agent before the agent's own end can be seen. Without
// one, what is to be killed is found by descent, by the marker in the environment and by the control group.
bool MachineHost::killEverything() {
  if (agent_.pid == 0) return true;
  if (!agent_exit_) (void)agent_.handle.signal(SIGKILL);
  if (record_.isolation != Isolation::session) {
    const bool ended = agent_exit_ || agent_.handle.waitEnded(kKillLimit);
    reapChildren();
    return ended;
  }
  const std::string marker = record_.marker();
  return os::killAll(
      [&] {
        reapChildren();
        std::vector<pid_t> found = os::descendantsOf(::getpid(), podman_.pid);
        for (const pid_t pid : os::processesWithEnvironment(marker)) found.push_back(pid);
        for (const pid_t pid : cgroup_.processes()) found.push_back(pid);
        std::sort(found.begin(), found.end());
        found.erase(std::unique(found.begin(), found.end()), found.end());
        return found;
      },
      kKillLimit);
}

void MachineHost::finish(GoneReason reason, const std::string& detail) {
  if (gone_) return;
  gone_ = reason;
  if (!killEverything())
    os::log(os::LogLevel::error, "processes_survive", {{"machine", record_.machine.toString()}});
  reapChildren();
  for (const std::string& directory : cgroup_.directories()) {
    if (auto removed = os::removeCgroup(directory); !removed) {
      os::log(os::LogLevel::warn, "cgroup_left", {{"error", removed.error().message}});
    }
  }
  if (auto written = replaceFile(dir_.exit(), toJson(ExitRecord{reason, detail, clock_.now()})); !written) {
    os::log(os::LogLevel::warn, "exit_not_written", {{"reason", detail}, {"error", written.error().message}});
  }
  loop_.stop();
}

Result<GoneReason> host(const std::string& path) {
  const MachineDir dir(path);
  BUOY_TRY(os::Fd signals, openSignals());
  BUOY_TRY(os::Fd lock, holdLock(dir));
  BUOY_TRY(const std::string text, os::readFile(dir.machine(), 16u << 20));
  BUOY_TRY(MachineRecord record, parseMachineRecord(text));
  return MachineHost(dir, std::move(record), std::move(signals), std::move(lock)).run();
}

}  // namespace

int runMachineHost(const std::string& dir) {
  const auto reason = host(dir);
  if (reason) return exitCodeOf(*reason);
  os::log(os::LogLevel::error, "host_failed", {{"dir", dir}, {"error", reason.error().message}});
  return EXIT_FAILURE;
}

}  // namespace buoy::cloud::local
