#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::os {

// Both ends are closed by exec; reading does not block.
struct Pipe {
  Fd read;
  Fd write;
};
Result<Pipe> makePipe();

struct ChildOptions {
  std::vector<std::string> command;      // command[0] is the path of the executable
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string directory;                 // working directory
  bool die_with_parent = false;          // SIGKILL when the thread that started it ends
};

// A started child: leader of its own session and process group, its standard input empty, its output in two
// pipes (non-blocking at this end). Signal mask and dispositions are the defaults, and no other descriptor is
// inherited.
struct Child {
  pid_t pid = -1;
  Fd out;
  Fd err;
};

// Returns when the program runs, or with what kept it from doing so. The child must be reaped by the caller.
Result<Child> startChild(const ChildOptions& options);

// Sends `number` to every process that certainly descends from this one: as process 1 of a namespace to all
// of it, else to the children (also those inherited as a subreaper) and everything below them.
void signalDescendants(int number);

}  // namespace buoy::os
