#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/environment.h"
#include "api/agent_protocol.h"
#include "api/job_spec.h"
#include "base/units.h"
#include "container/engine.h"
#include "container/podman_service.h"
#include "container/run_args.h"
#include "os/fd.h"

namespace buoy::agent {

// A job's container on this machine: its image pulled or built, itself created, started, and removed with the
// object at the latest. Its process 1 is an init (container/init/protocol.h) that waits for what it is to run
// and ends when its connection to the agent does. Worker thread; blocks.
class JobContainer {
 public:
  struct Setup {
    MachinePaths paths;
    const api::AgentConfig& config;
    const api::DirectiveMessage& message;
    const api::JobSpec& spec;                               // with a container
    const std::map<std::string, std::string>& environment;  // the agent's own
    std::function<void(std::string)> on_output;  // what building, pulling and startup commands write
    std::stop_token stop;
  };

  // Finds the machine's runtime, removes what dead agents left in it, and has the image. Errors:
  // invalid_argument (no runtime, no such image, a Dockerfile that fails, …: it would not help to try again),
  // resource_exhausted (the disk is full), unavailable (it may).
  static Result<std::shared_ptr<JobContainer>> open(const Setup& setup);
  ~JobContainer();
  JobContainer(const JobContainer&) = delete;
  JobContainer& operator=(const JobContainer&) = delete;

  // Creates and starts the container and runs its startup commands. Errors as of open().
  Status start(const Setup& setup);
  // To the init, once, after start().
  os::Fd takeConnection() { return std::move(connection_); }
  // "64.0 MiB"; empty: there is none.
  std::string memoryLimit() const { return memory_.value == 0 ? "" : formatByteCount(memory_); }
  // Beside the job's variables: those of the container, of secrets and of the user.
  Result<Variables> environment(Variables job) const;
  // Removes the container. Again: nothing.
  void close();
  // Sentences for the job's history since the last call.
  std::vector<std::string> takeEvents() { return std::exchange(events_, {}); }

 private:
  explicit JobContainer(const Setup& setup);
  Status connect(const Setup& setup);
  Status haveImage(const Setup& setup);
  Status pull(const Setup& setup);
  Status build(const Setup& setup);
  Result<std::vector<std::string>> command(const Setup& setup) const;
  Result<std::string> createBody(const Setup& setup);
  Result<std::vector<container::Volume>> mounts(const Setup& setup) const;
  Status startUnsettled(const Setup& setup);
  void tellPorts();
  Result<os::Fd> acceptInit(const Setup& setup, int listener);
  Status giveWorkspace(const MachinePaths& paths);
  Status runStartupCommands(const Setup& setup, int listener);

  const MachinePaths paths_;
  const container::Spec spec_;
  container::RunArgs args_;
  std::unique_ptr<container::Engine> engine_;
  container::Engine::Image image_;
  std::string endpoint_;  // of the engine
  std::string where_;     // the same, for people
  bool local_ = true;     // it is on this machine, and sees its files
  os::Fd lock_;           // held as long as this lives: whose container it is (sweep)
  os::Fd connection_;
  ByteCount memory_{};  // that it may have: the job's or the machine's limit, the smaller one
  std::string id_;      // of the container; empty: none
  std::optional<container::PodmanService> service_;
  std::vector<std::string> events_;
};

}  // namespace buoy::agent
