#pragma once

#include <string>

#include "cloud/local/machine_dir.h"
#include "os/cgroup.h"
#include "os/namespace.h"

namespace buoy::cloud::local {

// What this host lets local machines be, and why; for the provider and for `buoy doctor`.
struct LocalCapabilities {
  bool pid_namespace = false;
  Isolation isolation = Isolation::session;
  std::string isolation_reason;
  os::CgroupSupport cgroups;  // cgroups.reason says what is in force and why
  std::string cpu_limit;      // "cgroup v1 (cpu)" or "CPU affinity"
  std::string memory_limit;   // "cgroup v2 (memory)" or "RLIMIT_DATA for each process"
};
// Tries, so it takes a few milliseconds. BUOY_LOCAL_ISOLATION=session in the environment forbids namespaces,
// BUOY_LOCAL_CGROUPS=off control groups. Threads: any.
LocalCapabilities detectLocalCapabilities();

}  // namespace buoy::cloud::local
