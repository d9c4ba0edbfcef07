#include "agent/parts.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/environment.h"
#include "base/strings.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/log.h"
#include "os/namespace.h"
#include "os/process_table.h"
#include "os/terminal.h"

namespace buoy::agent {
namespace {

using Close = engine::Directive::Part::Close;

// What an agent itself may need, most of it for threads' stacks that it never touches.
constexpr std::uint64_t kAgentData = 128ull << 20;
constexpr Duration kKillLimit = std::chrono::seconds{5};

os::NamespaceMode ownNamespace() {
  static const os::NamespaceMode mode = os::detectNamespaces().mode;
  return mode;
}

bool names(const std::vector<engine::Directive::Part>& parts, MachineId part) {
  return std::any_of(parts.begin(), parts.end(), [&](const auto& each) { return each.machine == part; });
}

}  // namespace

Parts::Parts(os::EventLoop& loop, Worker& worker, const api::AgentConfig& config, Options options,
             std::function<void(Closed)> told)
    : loop_(loop), worker_(worker), config_(config), options_(options), told_(std::move(told)) {}

Parts::~Parts() {
  for (auto& [part, open] : open_) {
    loop_.unwatch(open.process.handle.fd());
    (void)open.process.handle.signal(SIGKILL);
  }
}

std::string Parts::directoryOf(MachineId part) const {
  return MachinePaths{config_.directory}.parts() + "/" + part.toString();
}

void Parts::follow(const api::DirectiveMessage& message) {
  const std::vector<engine::Directive::Part>& wanted = message.directive.parts;
  const std::size_t told =
      std::erase_if(closed_, [&](const auto& each) { return !names(wanted, each.machine); });
  if (told > 0) tell();
  for (const auto& [part, open] : open_) {
    if (!names(wanted, part)) kill(part);  // nobody's any more
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const engine::Directive::Part& part = wanted[i];
    const auto same = [&](const auto& each) { return each.machine == part.machine; };
    if (std::any_of(closed_.begin(), closed_.end(), same)) continue;
    if (!open_.contains(part.machine)) {
      if (part.close != Close::no || ending_) {
        close(part.machine, "it was not opened");
      } else {
        open(part, message.tokens[i]);
      }
    } else if (part.close == Close::when_done) {
      end(part.machine);
    } else if (part.close == Close::by_force) {
      kill(part.machine);
    }
  }
}

void Parts::open(const engine::Directive::Part& part, const std::string& token) {
  const Status started = start(part, token);
  os::log(started ? os::LogLevel::info : os::LogLevel::error, "part_opened",
          {{"part", part.machine.toString()}, {"error", started ? "" : started.error().message}});
  if (!started) close(part.machine, started.error().message);
}

Status Parts::start(const engine::Directive::Part& part, const std::string& token) {
  api::AgentConfig config = config_;
  config.machine = part.machine;
  config.token = token;
  config.directory = directoryOf(part.machine);
  config.cache = config_.cache.empty() ? MachinePaths{config_.directory}.cache() : config_.cache;
  config.milli_cpus = part.resources.milli_cpus;
  if (part.resources.memory.value > 0) config.memory = part.resources.memory;
  config.part = true;
  config.devices = part.devices;
  BUOY_TRY_VOID(os::makeDirectories(config.directory, 0700));
  const std::string file = config.directory + "/agent.json";
  BUOY_TRY_VOID(os::writeFileAtomic(file, api::toJson(config), 0600));
  BUOY_TRY(const os::Fd output,
           os::openFile(config.directory + "/agent.log", O_WRONLY | O_CREAT | O_APPEND, 0600));
  std::string program = options_.program;
  if (program.empty()) {
    BUOY_TRY(program, os::executablePath());
  }
  os::SpawnOptions options;
  options.command = {std::move(program), "run", "--config", file};
  options.environment = entriesOf(os::processEnvironment());
  options.directory = config.directory;
  options.fds = {{output.get(), 1}, {output.get(), 2}};
  options.new_session = true;
  options.parent_death_signal = SIGKILL;
  options.namespaces = ownNamespace();
  if (part.resources.memory.value > 0)
    options.rlimits = {{RLIMIT_DATA, part.resources.memory.value + kAgentData}};
  // Without a namespace, what an agent that is killed leaves behind comes to this process.
  if (options.namespaces == os::NamespaceMode::none) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  BUOY_TRY(os::Spawned process, os::spawn(options));
  const MachineId id = part.machine;
  loop_.watch(process.handle.fd(), [this, id] { reap(id); });
  open_[id].process = std::move(process);
  return {};
}

void Parts::end(MachineId part) {
  Open& open = open_.at(part);
  if (open.ends) return;
  open.ends = true;
  (void)open.process.handle.signal(SIGTERM);
  open.killing = loop_.after(options_.patience, [this, part] { kill(part); });
}

void Parts::kill(MachineId part) {
  if (const auto found = open_.find(part); found != open_.end())
    (void)found->second.process.handle.signal(SIGKILL);
}

// Each takes what its job was given to save and stop in.
void Parts::endAll() {
  ending_ = true;
  for (auto& [part, open] : open_) {
    if (!std::exchange(open.ends, true)) (void)open.process.handle.signal(SIGTERM);
  }
}

void Parts::killAll() {
  ending_ = true;
  for (const auto& [part, open] : open_) kill(part);
}

void Parts::reap(MachineId part) {
  Open& open = open_.at(part);
  const auto exit = open.process.handle.reap();
  if (!exit) return;
  const bool wanted = open.ends || exit->signalled;
  loop_.unwatch(open.process.handle.fd());
  loop_.cancel(open.killing);
  open_.erase(part);
  killOrphans();
  os::log(os::LogLevel::info, "part_closed", {{"part", part.toString()}, {"exit", exit->toString()}});
  close(part, wanted ? "" : strCat({"its agent ended with ", exit->toString()}));
  worker_.submit(
      [directory = directoryOf(part)](const std::stop_token&) { (void)os::removeTree(directory); });
  if (on_closed) on_closed();
}

// What a part's agent has left behind when it was killed; where it had a namespace of its own there is
// nothing.
void Parts::killOrphans() {
  if (ownNamespace() != os::NamespaceMode::none) return;
  const auto orphans = [this] {
    std::vector<pid_t> left = os::descendantsOf(::getpid());
    for (const auto& [part, open] : open_) {
      const std::vector<pid_t> kept = os::descendantsOf(open.process.pid);
      std::erase_if(left, [&](pid_t pid) {
        return pid == open.process.pid || std::find(kept.begin(), kept.end(), pid) != kept.end();
      });
    }
    return left;
  };
  if (!os::killAll(orphans, kKillLimit)) os::log(os::LogLevel::warn, "orphans_left");
}

void Parts::close(MachineId part, std::string detail) {
  closed_.push_back({part, std::move(detail)});
  tell();
}

}  // namespace buoy::agent
