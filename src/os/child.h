#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::os {

struct ChildOptions {
  std::vector<std::string> argv;         // argv[0] is the path of the executable
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string directory;                 // working directory
  bool die_with_parent = false;          // SIGKILL when the thread that started it ends (PR_SET_PDEATHSIG)
};

// A started child: leader of its own session and process group, its standard input empty, its output in two
// pipes (non-blocking at this end). Signal mask and dispositions are the defaults, and no other descriptor is
// inherited.
struct Child {
  pid_t pid = -1;
  Fd pidfd;
  Fd out;
  Fd err;
};

// Returns when the program runs (or the error of exec). The child must be reaped by the caller.
Result<Child> startChild(const ChildOptions& options);

// 128 + N for signal N, else the exit code, of a status as from waitpid.
int exitCodeOf(int wait_status);

// Sends `signal` to every process that this one can be sure is its own: as process 1 of a namespace to all of
// it, else to the children (also those inherited as a subreaper) and their descendants.
void signalDescendants(int signal);

}  // namespace buoy::os
