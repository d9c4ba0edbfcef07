#include "cloud/local/local_provider.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <future>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "base/strings.h"
#include "cloud/local/burial.h"
#include "cloud/local/machine_dir.h"
#include "cloud/local/pool_markets.h"
#include "container/runtime.h"
#include "os/environment.h"
#include "os/event_loop.h"
#include "os/files.h"
#include "os/log.h"
#include "os/process.h"

namespace buoy::cloud::local {
namespace {

using engine::GoneReason;
using engine::LaunchError;

// A host that has not ended by then after SIGTERM is killed; its machine goes with it.
constexpr Duration kTerminateLimit = std::chrono::seconds{60};
// A host writes its pid within milliseconds of its start.
constexpr Duration kAttachInterval = std::chrono::milliseconds{5};
constexpr int kAttachTries = 1000;
constexpr Duration kListLimit = std::chrono::seconds{60};
constexpr const char* kLoopback = "127.0.0.1";

std::vector<std::string> machineEnvironment(const std::vector<std::string>& more) {
  static constexpr std::string_view kNames[] = {"PATH",
                                                "HOME",
                                                "USER",
                                                "LOGNAME",
                                                "SHELL",
                                                "LANG",
                                                "LANGUAGE",
                                                "TZ",
                                                "TMPDIR",
                                                "VIRTUAL_ENV",
                                                "LD_LIBRARY_PATH",
                                                "CUDA_HOME",
                                                "XDG_RUNTIME_DIR",
                                                "XDG_CONFIG_HOME",
                                                "XDG_DATA_HOME",
                                                "DOCKER_HOST",
                                                "DOCKER_CONFIG",
                                                "CONTAINER_HOST",
                                                "CONTAINERS_CONF",
                                                "CONTAINERS_STORAGE_CONF",
                                                "CONTAINERS_REGISTRIES_CONF",
                                                "http_proxy",
                                                "https_proxy",
                                                "no_proxy",
                                                "HTTP_PROXY",
                                                "HTTPS_PROXY",
                                                "NO_PROXY",
                                                "SSL_CERT_FILE",
                                                "SSL_CERT_DIR",
                                                "CUDA_VISIBLE_DEVICES"};
  static constexpr std::string_view kPrefixes[] = {"LC_", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};
  std::vector<std::string> environment = more;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view entry = *variable;
    const std::string_view name = entry.substr(0, entry.find('='));
    const bool named = std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
    const bool prefixed = std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                                      [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (named || prefixed) environment.emplace_back(entry);
  }
  return environment;
}

// The agent's directory, notice file and address are this provider's to say.
std::string agentConfigFor(const std::string& given, const MachineDir& dir, const MachineRecord& record,
                           Duration notice) {
  nlohmann::json config = nlohmann::json::parse(given, nullptr, false);
  if (!config.is_object()) return given;
  config["directory"] = dir.path();
  config["notice_file"] = dir.notice();
  config["address"] = kLoopback;
  config["cache"] = dir.cache();
  if (!record.podman.empty()) config["container_socket"] = dir.containerSocket();
  config["milli_cpus"] = record.limits.milli_cpus;
  config["memory"] = record.limits.memory.value;
  if (notice > Duration{}) config["notice"] = std::chrono::duration<double>(notice).count();
  return config.dump();
}

// Not locked by anybody: no host lives there. True also for a lock file that is gone.
bool hostIsGone(const MachineDir& dir) {
  const auto lock = os::openFile(dir.lock(), O_RDONLY);
  return !lock || ::flock(lock->get(), LOCK_SH | LOCK_NB) == 0;
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::optional<MachineRecord> readRecord(const MachineDir& dir) {
  const auto text = os::readFile(dir.machine(), 16u << 20);
  auto record = text ? parseMachineRecord(*text) : Result<MachineRecord>(fail(text.error()));
  if (!record) return std::nullopt;
  return std::move(*record);
}

Status writeNew(const std::string& path, std::string_view content) {
  BUOY_TRY(const os::Fd fd, os::openFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  return os::writeAll(fd.get(), content);
}

LaunchError launchErrorOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::resource_exhausted:
      return LaunchError::capacity;
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::permission_denied:
      return LaunchError::invalid;
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::unauthenticated:
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::data_loss:
    case ErrorCode::cancelled:
    case ErrorCode::internal:
      return LaunchError::other;
  }
  return LaunchError::other;
}

// Machines being launched by worker threads, whose directories the loop's thread must not judge meanwhile.
class Launching {
 public:
  void begin(MachineId machine) { machines_.lock()->insert(machine); }
  void end(MachineId machine) { machines_.lock()->erase(machine); }
  bool contains(MachineId machine) { return machines_.lock()->contains(machine); }
  // nullopt: being launched. While this looks at the lock no launch can begin, so the two never meet at it.
  std::optional<bool> hostIsGone(MachineId machine, const MachineDir& dir) {
    auto machines = machines_.lock();
    if (machines->contains(machine)) return std::nullopt;
    return local::hostIsGone(dir);
  }

 private:
  Synchronized<std::set<MachineId>> machines_;
};

class LocalProvider final : public Provider {
 public:
  LocalProvider(LocalOptions options, EventSink sink)
      : options_(std::move(options)),
        sink_(std::move(sink)),
        markets_(options_.state_dir, options_.clock),
        environment_(machineEnvironment(options_.environment)),
        runtime_environment_(os::processEnvironment()),
        trash_(machinesDir() + "/.trash"),
        loop_(options_.clock),
        thread_([this] { loop_.run(); }) {}
  ~LocalProvider() override {
    loop_.stop();
    thread_.join();
  }
  LocalProvider(const LocalProvider&) = delete;
  LocalProvider& operator=(const LocalProvider&) = delete;

  void launch(const LaunchRequest& request) override;
  void terminate(MachineId machine) override;
  void query(MachineId machine) override;
  void reclaim(MachineId machine, Duration notice) override;
  Result<std::vector<ListedMachine>> list(const std::stop_token&) override;
  std::string containerProblem() override {
    const auto runtime = container::findRuntime(runtime_environment_);
    return runtime ? std::string() : runtime.error().message;
  }

 private:
  // A machine whose host is watched. Only the loop's thread sees these.
  struct Watched {
    os::Pidfd host;
    MachineRecord record;
    bool terminating = false;
    os::EventLoop::TimerId kill_timer = 0;
  };
  enum class State { watched, starting, dead, absent };

  std::string machinesDir() const { return options_.state_dir + "/machines"; }
  MachineDir dirOf(MachineId machine) const { return MachineDir::of(options_.state_dir, machine); }

  // In a worker's thread.
  Result<os::Spawned> start(const LaunchRequest& request, MachineRecord& record);
  MachineRecord recordOf(const LaunchRequest& request) const;
  Result<os::Spawned> startHost(const MachineDir& dir, const os::Fd& lock);
  void order(MachineId machine, const HostRequest& request);

  // In the loop's thread.
  State look(MachineId machine);
  void watch(os::Pidfd host, MachineRecord record);
  void attach(MachineId machine, int tries);
  void onHostEnd(MachineId machine);
  void terminateWatched(MachineId machine);
  void conclude(const MachineRecord& record, std::optional<os::ExitStatus> host_exit, bool wanted);
  void concludeDead(MachineId machine, bool wanted);
  void announcePrices();
  std::vector<ListedMachine> listInLoop();

  const LocalOptions options_;
  const EventSink sink_;
  PoolMarkets markets_;
  const std::vector<std::string> environment_;
  const container::Environment runtime_environment_;
  Trash trash_;
  Launching launching_;
  std::atomic<std::uint64_t> last_order_{0};
  std::map<MachineId, Watched> watched_;
  std::set<MachineId> attaching_;
  os::EventLoop::TimerId price_timer_ = 0;
  os::EventLoop loop_;
  std::jthread thread_;  // last: it uses the others
};

// ---- launching

MachineRecord LocalProvider::recordOf(const LaunchRequest& request) const {
  MachineRecord record;
  record.cluster = options_.cluster;
  record.machine = request.machine;
  record.pool = request.pool;
  record.type = request.type.name;
  record.market = request.market;
  record.provider_config = request.provider_config;
  record.agent_path = options_.agent_path;
  if (const auto runtime = container::findRuntime(runtime_environment_)) record.podman = runtime->program;
  record.limits = {request.type.resources.milli_cpus, request.type.resources.memory};
  record.isolation = options_.capabilities.isolation;
  record.cgroups = options_.capabilities.cgroups;
  return record;
}

Result<os::Spawned> LocalProvider::startHost(const MachineDir& dir, const os::Fd& lock) {
  BUOY_TRY(const os::Fd output, os::openFile(dir.agentLog(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  os::SpawnOptions options;
  options.command = {options_.agent_path, "host", "--dir", dir.path()};
  options.environment = environment_;
  options.directory = "/";
  options.fds = {{output.get(), 1}, {output.get(), 2}, {lock.get(), kInheritedLockFd}};
  options.new_session = true;
  // A SIGTERM that comes before the host is ready for it waits until it is.
  options.blocked_signals = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGIO};
  return os::spawn(options);
}

// The lock is held by this process from before the host exists and then passes to it, so that whoever looks
// sees a machine that is alive or one that is not.
Result<os::Spawned> LocalProvider::start(const LaunchRequest& request, MachineRecord& record) {
  const MachineDir dir = dirOf(request.machine);
  if (::mkdir(dir.path().c_str(), 0700) != 0 && errno != EEXIST) {
    if (errno != ENOENT) return failErrno(errno, "create directory " + dir.path());
    BUOY_TRY_VOID(os::makeDirectories(dir.path(), 0700));
  }
  BUOY_TRY(const os::Fd lock, os::openFile(dir.lock(), O_RDWR | O_CREAT, 0600));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return fail(ErrorCode::already_exists, "the machine runs");
  if (exists(dir.hostPid())) return fail(ErrorCode::already_exists, "the machine ran");
  BUOY_TRY(const PoolMarkets::Admission admission, markets_.admit(request));
  record.order = admission.order;
  record.appointment = admission.appointment;
  BUOY_TRY_VOID(os::makeDirectories(dir.requests(), 0700));
  BUOY_TRY_VOID(writeNew(dir.machine(), toJson(record)));
  BUOY_TRY_VOID(
      writeNew(dir.agentConfig(), agentConfigFor(request.agent_config, dir, record, admission.usual_notice)));
  return startHost(dir, lock);
}

void LocalProvider::launch(const LaunchRequest& request) {
  const MachineId machine = request.machine;
  launching_.begin(machine);
  MachineRecord record = recordOf(request);
  auto host = start(request, record);
  if (host) {
    sink_(engine::LaunchSucceeded{machine, "pid " + std::to_string(host->pid), kLoopback});
    loop_.post([this, machine, record = std::move(record),
                handle = std::make_shared<os::Pidfd>(std::move(host->handle))]() mutable {
      watch(std::move(*handle), std::move(record));
      launching_.end(machine);
      announcePrices();
    });
    return;
  }
  launching_.end(machine);
  if (host.error().code == ErrorCode::already_exists) {
    sink_(engine::LaunchSucceeded{machine, machine.toString(), kLoopback});
    loop_.post([this, machine] {
      if (look(machine) == State::dead) concludeDead(machine, false);
    });
    return;
  }
  (void)markets_.release(machine);
  trash_.discard(dirOf(machine).path());
  sink_(engine::LaunchFailed{machine, launchErrorOf(host.error()), host.error().message});
}

// ---- watching

void LocalProvider::watch(os::Pidfd host, MachineRecord record) {
  const MachineId machine = record.machine;
  if (watched_.contains(machine)) return;
  const int fd = host.fd();
  watched_.emplace(machine, Watched{std::move(host), std::move(record)});
  loop_.watch(fd, [this, machine] { onHostEnd(machine); });
}

// Watches the machine if it lives and is not watched yet.
LocalProvider::State LocalProvider::look(MachineId machine) {
  if (watched_.contains(machine)) return State::watched;
  if (attaching_.contains(machine)) return State::starting;
  const MachineDir dir = dirOf(machine);
  const auto gone = launching_.hostIsGone(machine, dir);
  if (!gone) return State::starting;
  if (*gone) return exists(dir.path()) ? State::dead : State::absent;
  attaching_.insert(machine);
  attach(machine, kAttachTries);
  return watched_.contains(machine) ? State::watched : State::starting;
}

void LocalProvider::attach(MachineId machine, int tries) {
  const MachineDir dir = dirOf(machine);
  const auto text = os::readFile(dir.hostPid(), 4096);
  const auto identity = text ? os::ProcessIdentity::parse(*text) : std::nullopt;
  auto record = readRecord(dir);
  auto host = identity ? os::Pidfd::open(*identity) : Result<os::Pidfd>(fail(ErrorCode::not_found, "no pid"));
  if (host && record) {
    attaching_.erase(machine);
    markets_.readmit(*record);
    watch(std::move(*host), std::move(*record));
    announcePrices();
    return;
  }
  if (hostIsGone(dir)) {
    attaching_.erase(machine);
    concludeDead(machine, false);
    return;
  }
  if (tries > 0) {
    loop_.after(kAttachInterval, [this, machine, tries] { attach(machine, tries - 1); });
    return;
  }
  attaching_.erase(machine);
  os::log(os::LogLevel::error, "host_not_found", {{"machine", machine.toString()}, {"dir", dir.path()}});
}

void LocalProvider::onHostEnd(MachineId machine) {
  auto entry = watched_.extract(machine);
  if (entry.empty()) return;
  Watched& watched = entry.mapped();
  loop_.unwatch(watched.host.fd());
  loop_.cancel(watched.kill_timer);
  conclude(watched.record, watched.host.reap(), watched.terminating);
}

void LocalProvider::conclude(const MachineRecord& record, std::optional<os::ExitStatus> host_exit,
                             bool wanted) {
  const MachineDir dir = dirOf(record.machine);
  const ExitRecord ended = concludeMachine(dir, record, host_exit, wanted);
  trash_.discard(dir.path());
  for (const auto& [moved, appointment] : markets_.release(record.machine)) {
    order(moved, HostRequest{HostRequest::Kind::reschedule, appointment});
  }
  sink_(engine::MachineGone{record.machine, ended.reason, ended.detail});
}

// Nobody watched when its host ended.
void LocalProvider::concludeDead(MachineId machine, bool wanted) {
  auto record = readRecord(dirOf(machine));
  if (!record) {
    record.emplace();
    record->cluster = options_.cluster;
    record->machine = machine;
  }
  conclude(*record, std::nullopt, wanted);
}

void LocalProvider::announcePrices() {
  for (auto& change : markets_.newPrices()) sink_(std::move(change));
  loop_.cancel(std::exchange(price_timer_, 0));
  if (const auto next = markets_.nextPriceChange()) {
    price_timer_ = loop_.after(*next - options_.clock.now(), [this] { announcePrices(); });
  }
}

// ---- the rest of the interface

void LocalProvider::terminateWatched(MachineId machine) {
  const auto found = watched_.find(machine);
  if (found == watched_.end()) return;
  Watched& watched = found->second;
  (void)watched.host.signal(SIGTERM);
  if (std::exchange(watched.terminating, true)) return;
  watched.kill_timer = loop_.after(kTerminateLimit, [this, machine] {
    if (const auto late = watched_.find(machine); late != watched_.end())
      (void)late->second.host.signal(SIGKILL);
  });
}

void LocalProvider::terminate(MachineId machine) {
  loop_.post([this, machine] {
    switch (look(machine)) {
      case State::watched:
        terminateWatched(machine);
        break;
      case State::starting:
        loop_.after(kAttachInterval, [this, machine] { terminate(machine); });
        break;
      case State::dead:
        concludeDead(machine, true);
        break;
      case State::absent:
        sink_(engine::MachineGone{machine, GoneReason::terminated, "no such machine"});
        break;
    }
  });
}

void LocalProvider::query(MachineId machine) {
  loop_.post([this, machine] {
    switch (look(machine)) {
      case State::watched:
      case State::starting:
        sink_(engine::MachineAlive{machine});
        break;
      case State::dead:
        concludeDead(machine, false);
        break;
      case State::absent:
        sink_(engine::MachineGone{machine, GoneReason::vanished, "no such machine"});
        break;
    }
  });
}

void LocalProvider::order(MachineId machine, const HostRequest& request) {
  const MachineDir dir = dirOf(machine);
  // Names sort in the order of the requests, also across restarts.
  const auto number =
      std::chrono::duration_cast<std::chrono::microseconds>(options_.clock.now().time_since_epoch()).count();
  const std::string name = strCat({std::to_string(number), "-", std::to_string(++last_order_), ".json"});
  if (auto written = replaceFile(dir.requests() + "/" + name, toJson(request)); !written) {
    os::log(os::LogLevel::warn, "order_not_written",
            {{"machine", machine.toString()}, {"error", written.error().message}});
  }
}

void LocalProvider::reclaim(MachineId machine, Duration notice) {
  std::optional<Duration> told;
  if (notice > Duration{}) told = notice;
  order(machine, HostRequest{HostRequest::Kind::reclaim, Appointment{Duration{}, told}});
}

std::vector<ListedMachine> LocalProvider::listInLoop() {
  std::vector<MachineId> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(machinesDir().c_str()), ::closedir);
  while (listing) {
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    if (const auto machine = MachineId::parse(entry->d_name)) found.push_back(*machine);
  }
  std::vector<ListedMachine> machines;
  for (const MachineId machine : found) {
    const auto record = readRecord(dirOf(machine));
    if (record && record->cluster != options_.cluster) continue;
    const State state = look(machine);
    if (state == State::dead && !exists(dirOf(machine).hostPid())) {
      trash_.discard(dirOf(machine).path());  // a launch that never came to anything
      continue;
    }
    if (state == State::dead) concludeDead(machine, false);
    if (state != State::absent) machines.push_back({machine, machine.toString(), state != State::dead});
  }
  return machines;
}

Result<std::vector<ListedMachine>> LocalProvider::list(const std::stop_token&) {
  auto answer = std::make_shared<std::promise<std::vector<ListedMachine>>>();
  auto future = answer->get_future();
  loop_.post([this, answer] { answer->set_value(listInLoop()); });
  if (future.wait_for(kListLimit) != std::future_status::ready) {
    return fail(ErrorCode::deadline_exceeded, "the local provider does not answer", true);
  }
  return future.get();
}

}  // namespace

std::unique_ptr<Provider> makeLocalProvider(LocalOptions options, Provider::EventSink sink) {
  return std::make_unique<LocalProvider>(std::move(options), std::move(sink));
}

}  // namespace buoy::cloud::local
