#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

// Programs that have this program's own terminal, or one another's output. Threads: any.
namespace buoy::os {

// The absolute path of a program that is looked for in PATH of `environment` ("NAME=value", all of it);
// unchanged if it holds a slash. not_found.
Result<std::string> findProgram(const std::string& name, const std::vector<std::string>& environment);

// Runs a command on this program's standard input, output and error, to its end: its exit code, 128 + N by
// signal N.
Result<int> runAttached(std::vector<std::string> command, const std::vector<std::string>& environment);
// Commands of which each reads what the one before it writes; the first reads `input` (-1: nothing), the last
// writes to this program's standard output. The exit code of each.
Result<std::vector<int>> runPipeline(std::vector<std::vector<std::string>> commands,
                                     const std::vector<std::string>& environment, int input = -1);
// A file that is only in memory, to be read from its beginning.
Result<Fd> memoryFile(std::string_view content);

}  // namespace buoy::os
