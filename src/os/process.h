#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/namespace.h"
#include "os/pidfd.h"

namespace buoy::os {

struct SpawnOptions {
  std::vector<std::string> command;      // no shell; command[0] is a path (it is not looked for in PATH)
  std::vector<std::string> environment;  // "NAME=value", the whole of it
  std::string directory;                 // working directory; empty: the parent's
  // Descriptors of the child: {ours, the child's number}. All others are closed; 0, 1 and 2 are /dev/null
  // unless named.
  std::vector<std::pair<int, int>> fds;
  bool new_session = false;
  bool adopts_orphans = false;       // PR_SET_CHILD_SUBREAPER: who loses its parent below it is its child
  int parent_death_signal = 0;       // sent to the child when the thread that spawned it ends; zero: none
  std::vector<int> blocked_signals;  // all others are unblocked; every handler is back at its default
  std::vector<std::pair<int, std::uint64_t>> rlimits;  // {RLIMIT_…, soft and hard limit}
  std::vector<int> cgroup_procs;  // open cgroup.procs files: the child enters these groups before it runs
  std::vector<int> cpus;          // sched affinity; empty: the parent's
  NamespaceMode namespaces = NamespaceMode::none;
};

struct Spawned {
  pid_t pid = 0;
  Pidfd handle;
};

// Returns when the child has executed the command, or with what kept it from doing so (then nothing is left
// behind). The caller reaps the child. Like vfork: as quick in a large process as in a small one. Threads:
// any.
Result<Spawned> spawn(const SpawnOptions& options);

// 0 if a child can be made in such a namespace, else an errno.
int probeNamespace(NamespaceMode mode);

}  // namespace buoy::os
