#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cloud/local/capabilities.h"
#include "cloud/provider.h"

namespace buoy::cloud::local {

struct LocalOptions {
  std::string state_dir;   // machines live under state_dir/machines
  std::string agent_path;  // of buoy-agent, which is also the machines' host
  const Clock& clock;      // outlives the provider
  std::string cluster;     // in the mark that machines carry
  LocalCapabilities capabilities = detectLocalCapabilities();
  // "NAME=value" for the machines, besides what they take over of this process's environment: the paths, the
  // locale, the user's name and home, the proxies. Secrets and BUOY_* are not taken over.
  std::vector<std::string> environment = {};
};

// Machines on this host: each a tree of processes below a host process of its own, which outlives this
// provider. Destroying the provider leaves the machines alone; the next one finds them by list().
std::unique_ptr<Provider> makeLocalProvider(LocalOptions options, Provider::EventSink sink);

}  // namespace buoy::cloud::local
