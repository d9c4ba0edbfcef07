#include "cloud/local/capabilities.h"

#include <cstdlib>
#include <string_view>

namespace buoy::cloud::local {
namespace {

bool variableIs(const char* name, std::string_view value) {
  const char* found = std::getenv(name);
  return found != nullptr && value == found;
}

void detectIsolation(LocalCapabilities& capabilities) {
  if (variableIs("BUOY_LOCAL_ISOLATION", "session")) {
    capabilities.isolation_reason = "BUOY_LOCAL_ISOLATION=session is set";
    return;
  }
  os::NamespaceSupport namespaces = os::detectNamespaces();
  capabilities.isolation_reason = std::move(namespaces.reason);
  switch (namespaces.mode) {
    case os::NamespaceMode::none:
      return;
    case os::NamespaceMode::pid:
      capabilities.isolation = Isolation::pid_namespace;
      break;
    case os::NamespaceMode::user_pid:
      capabilities.isolation = Isolation::user_namespace;
      break;
  }
  capabilities.pid_namespace = true;
}

}  // namespace

LocalCapabilities detectLocalCapabilities() {
  LocalCapabilities capabilities;
  detectIsolation(capabilities);
  if (variableIs("BUOY_LOCAL_CGROUPS", "off")) {
    capabilities.cgroups.reason = "BUOY_LOCAL_CGROUPS=off is set";
  } else {
    capabilities.cgroups = os::detectCgroups();
  }
  const auto version = [](bool v2) { return v2 ? "cgroup v2" : "cgroup v1"; };
  capabilities.cpu_limit = capabilities.cgroups.cpu() ? version(capabilities.cgroups.cpu_v2) : "CPU affinity";
  capabilities.memory_limit =
      capabilities.cgroups.memory() ? version(capabilities.cgroups.memory_v2) : "RLIMIT_DATA of each process";
  return capabilities;
}

}  // namespace buoy::cloud::local
