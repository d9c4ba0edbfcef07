#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "os/fd.h"

namespace buoy::os {

struct CgroupLimits {
  int milli_cpus = 0;  // zero: none
  ByteCount memory{};  // zero: none
};

// Where this process may make control groups, and what they can limit. Version 2, version 1 and both at once
// (hybrid).
struct CgroupSupport {
  std::string cpu_parent;  // directory under which a group that limits CPU may be made; empty: not possible
  std::string memory_parent;  // the same directory with version 2
  bool cpu_v2 = false, memory_v2 = false;
  std::string reason;  // for people: what is used, or why not

  bool cpu() const { return !cpu_parent.empty(); }
  bool memory() const { return !memory_parent.empty(); }
};
// Reads /proc/self and tries the directories it finds by making and removing a group. Threads: any.
CgroupSupport detectCgroups();
// The part that only reads text, for tests: `try_directory` says whether a group can be made there with these
// controllers.
struct CgroupMount {
  std::string path, root;
  bool v2 = false;
  std::vector<std::string> controllers;  // of version 1
};
std::vector<CgroupMount> parseCgroupMounts(std::string_view mountinfo);
// The directory of this process's own group in `mount`, from the text of /proc/self/cgroup; empty: not below
// the mount.
std::string ownGroupDirectory(const CgroupMount& mount, std::string_view self_cgroup);

// One group (two directories with version 1) that lasts until remove(). Move-only.
class Cgroup {
 public:
  Cgroup() = default;
  // What `support` cannot limit is left out. An existing group of this name is taken over.
  static Result<Cgroup> create(const CgroupSupport& support, const std::string& name,
                               const CgroupLimits& limits);
  // For SpawnOptions::cgroup_procs.
  Result<std::vector<Fd>> openProcs() const;
  std::vector<pid_t> processes() const;
  const std::vector<std::string>& directories() const { return directories_; }

 private:
  std::vector<std::string> directories_;
};

// Removes a group's directory; missing is success. Waits up to `limit` for processes in it that are dying.
Status removeCgroup(const std::string& directory, Duration limit = std::chrono::seconds{1});

}  // namespace buoy::os
