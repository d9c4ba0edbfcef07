#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "os/pidfd.h"

namespace buoy::os {

struct CommandOutput {
  ExitStatus status;
  std::string out, err;
};

// Runs a program to its end, its standard input empty, and returns what it wrote. `command[0]` is looked for
// in PATH of `environment` ("NAME=value", all of it) unless it holds a slash. Errors: not_found (no such
// program), deadline_exceeded (it ran longer than `limit` and was killed with its session),
// resource_exhausted (more than `most` bytes in one of the two: killed too). Threads: any.
Result<CommandOutput> runCommand(std::vector<std::string> command,
                                 const std::vector<std::string>& environment, Duration limit,
                                 std::size_t most = 1u << 20);

}  // namespace buoy::os
