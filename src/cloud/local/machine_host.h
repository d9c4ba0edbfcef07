#pragma once

#include <string>

namespace buoy::cloud::local {

// Stands in for the hardware of one local machine and for the market that may take it: `buoy-agent host --dir
// DIR`, started by the provider, alive when the control plane is not. Reads DIR/machine.json, starts the
// agent as the first process of the machine, and ends when the machine does: killed with all its processes by
// the market, by a request, by SIGTERM, by the agent's own end, or because DIR was removed. Returns the
// program's exit code, which tells the reason (exitCodeOf) as DIR/exit.json does. Needs a process with one
// thread; blocks signals and never unblocks them.
int runMachineHost(const std::string& dir);

}  // namespace buoy::cloud::local
