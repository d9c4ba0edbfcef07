#pragma once

#include <string>

#include "agent/keeper/container_words.h"
#include "agent/keeper/desk.h"

namespace buoy::agent {

struct KeepOptions {
  std::string kept;    // where records of scripts lie that outlive the machine; empty: in the workspace
  bool again = false;  // the workspace was on another machine before
  Duration grace = std::chrono::seconds{20};  // for scripts, when it ends
};

// The life of a workspace on a machine: brings up what its plan says, starts the scripts again that had not
// ended, and stays until it is told to end (SIGTERM, SIGINT) or has been idle for as long as the plan allows.
// Then the scripts get SIGTERM, and the container is removed. Returns the exit code: 0, or 1 with the reason
// on standard error. To be called before any thread is started.
int keepWorkspace(const Desk& desk, const Environment& environment, const KeepOptions& options);

}  // namespace buoy::agent
