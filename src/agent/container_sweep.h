#pragma once

#include <string>

#include "container/engine.h"

namespace buoy::agent {

// On every container of Buoy's: MachinePaths::job() of the agent whose it is.
constexpr const char* kContainerOwnerLabel = "buoy.owner";
// Held by that agent (flock) as long as it may use the container.
std::string containerLock(const std::string& job_directory);

// Removes the containers that agents left which were killed, and those of `own` (MachinePaths::job(); empty:
// none), whose agent is the caller. None of them runs: a container ends with its agent. Blocks.
void sweepContainers(container::Engine& engine, const std::string& own);

// The same in a program of its own, with the machine's runtime. The exit code: 0, or 1 without a runtime.
int runContainerSweep();

}  // namespace buoy::agent
