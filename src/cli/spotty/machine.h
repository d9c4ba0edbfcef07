#pragma once

#include <memory>
#include <optional>

#include "api/views.h"
#include "cli/connection.h"
#include "cli/context.h"
#include "cli/spotty/choice.h"
#include "cli/spotty/reach.h"

namespace buoy::cli {

// The job that keeps an instance's machine; nullopt: there is none that goes on.
Result<std::optional<api::JobView>> workspaceJob(Connection& connection, const SpottyChoice& choice);

struct StartOptions {
  Duration hours{}, idle{};
  std::string notify;
  std::string source;                // WorkspaceOptions::source
  std::optional<engine::Pool> pool;  // of its own; nullopt: like the server's pool of that provider
};
// Makes the pool, the queue and the job, and stays until the workspace is ready: what it prints is printed.
// On failure it has been said, and the exit code is the error.
tl::expected<void, int> startWorkspace(const Context& context, Connection& connection,
                                       const SpottyChoice& choice, const StartOptions& options);
// Ends the job and waits for it; what became of its volumes is said.
int stopWorkspace(const Context& context, Connection& connection, const SpottyChoice& choice,
                  const api::JobView& job);
// The machine that the job has now; nullopt: none.
Result<std::optional<api::MachineView>> machineOf(Connection& connection, const api::JobView& job);
// The way to a job's machine on AWS.
Result<std::unique_ptr<Reach>> reachOnAws(Connection& connection, const SpottyChoice& choice,
                                          const api::JobView& job);
// The way to a machine that runs. On failure it has been said, and the exit code is the error.
tl::expected<std::unique_ptr<Reach>, int> reachRunning(const Context& context, const SpottyChoice& choice);

// How the last lines of the workspace tell of its ports and scripts: "port 6006 at 6006", …
std::vector<std::string> workspaceLines(Connection& connection, JobId job);

}  // namespace buoy::cli
