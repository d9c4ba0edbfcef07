#pragma once

#include <condition_variable>
#include <deque>
#include <optional>
#include <string>
#include <thread>

#include "base/synchronized.h"
#include "cloud/local/machine_dir.h"
#include "os/pidfd.h"

namespace buoy::cloud::local {

// After a machine's host has ended: makes sure that nothing of the machine runs, clears away what the host
// could not, and says how it ended. `host_exit` where it is known; `wanted`: the end had been asked for.
// Threads: any.
ExitRecord concludeMachine(const MachineDir& dir, const MachineRecord& record,
                           std::optional<os::ExitStatus> host_exit, bool wanted);

// Removes directories in a thread of its own: a machine's work may be large.
class Trash {
 public:
  // Goes on with what an earlier process left in `directory`.
  explicit Trash(std::string directory);
  // Moves `path` out of the way at once; it disappears later. A missing one is fine.
  void discard(const std::string& path);

 private:
  struct Queue {
    std::deque<std::string> paths;
  };
  void run(std::stop_token stop);

  const std::string directory_;
  Synchronized<Queue> queue_;
  std::condition_variable_any changed_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace buoy::cloud::local
