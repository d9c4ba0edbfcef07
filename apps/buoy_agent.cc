#include <malloc.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "agent/agent.h"
#include "agent/boot.h"
#include "agent/container_sweep.h"
#include "agent/keeper/workspace_command.h"
#include "agent/supervisor.h"
#include "cloud/local/machine_host.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/log.h"
#include "os/system_clock.h"

// buoy-agent: runs on every machine of a job. One static executable, no arguments beyond its configuration.
namespace {

constexpr int kBadUsage = 2;
constexpr std::uint64_t kMaxConfig = 1 << 20;
// The control plane gives up a machine that does not connect before that.
constexpr buoy::Duration kBootPatience = std::chrono::minutes{12};

constexpr std::string_view kUsage =
    R"(usage: buoy-agent run --config FILE    run jobs on this machine as the control plane directs
       buoy-agent boot --config FILE   the same on a machine in a cloud, which asks for its configuration first
       buoy-agent host --dir DIR       stand in for a local machine (started by the local provider)
       buoy-agent sweep                remove the containers that killed agents left on this machine
       buoy-agent workspace VERB …     bring up, enter and keep what a person works in (see: buoy spotty)
       buoy-agent --version

Exit codes of run: 0 shut down as directed; 1 could not start; 2 bad usage or configuration;
3 the control plane was away for too long or does not know this machine; 4 the machine's directory is gone.
)";

int badUsage(std::string_view message) {
  std::fprintf(stderr, "buoy-agent: %.*s\n%.*s", static_cast<int>(message.size()), message.data(),
               static_cast<int>(kUsage.size()), kUsage.data());
  return kBadUsage;
}

int complain(const buoy::Error& error) {
  buoy::os::log(buoy::os::LogLevel::error, "agent_failed", {{"error", error.message}});
  return error.code == buoy::ErrorCode::invalid_argument ? kBadUsage
                                                         : static_cast<int>(buoy::agent::AgentEnd::failed);
}

int runAgent(const buoy::Result<buoy::api::AgentConfig>& config, const std::string& config_file) {
  // Memory that a moment of work needed goes back: the agent shares its machine with the job.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
  ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  if (!config) return complain(config.error().wrap(config_file));
  const buoy::os::SystemClock clock;
  auto agent = buoy::agent::Agent::create(*config, clock, {});
  if (!agent) return complain(agent.error().wrap(config_file));
  return static_cast<int>((*agent)->run());
}

int runWith(const std::string& config_file) {
  buoy::agent::blockSignals();
  return runAgent(buoy::os::readFile(config_file, kMaxConfig).and_then([](const std::string& text) {
    return buoy::api::parseAgentConfig(text);
  }),
                  config_file);
}

int bootWith(const std::string& config_file) {
  buoy::agent::blockSignals();  // before anything starts a thread
  return runAgent(buoy::agent::boot(config_file, buoy::os::processEnvironment(), kBootPatience), config_file);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "--version") {
    std::puts("buoy-agent " BUOY_VERSION);
    return 0;
  }
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) {
    std::fwrite(kUsage.data(), 1, kUsage.size(), stdout);
    return 0;
  }
  if (arguments.size() == 1 && arguments[0] == "sweep") {
    buoy::os::configureLog("", buoy::os::LogLevel::info);
    return buoy::agent::runContainerSweep();
  }
  if (!arguments.empty() && arguments[0] == "workspace")
    return buoy::agent::runWorkspaceCommand({arguments.begin() + 1, arguments.end()});
  if (arguments.size() != 3) return badUsage("expected a command and its option");
  buoy::os::configureLog("", buoy::os::LogLevel::info);
  if (arguments[0] == "run" && arguments[1] == "--config") return runWith(std::string(arguments[2]));
  if (arguments[0] == "boot" && arguments[1] == "--config") return bootWith(std::string(arguments[2]));
  if (arguments[0] == "host" && arguments[1] == "--dir") {
    return buoy::cloud::local::runMachineHost(std::string(arguments[2]));
  }
  return badUsage("unknown command or option");
}
