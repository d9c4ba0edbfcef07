#pragma once

#include <string>

#include "agent/keeper/container_host.h"
#include "agent/keeper/desk.h"
#include "agent/keeper/terminals.h"

namespace buoy::agent {

// Starts the script in a session of its name, and notes that it was started, so that it is started again
// where the workspace goes on.
Status startScript(const Desk& desk, const Terminals& terminals, api::WorkspaceScript script);
// What that session runs: the script in the container, to its end, which is noted unless the workspace itself
// ends. Returns the script's exit code.
int runScript(const Desk& desk, const Environment& environment, const std::string& session);

}  // namespace buoy::agent
