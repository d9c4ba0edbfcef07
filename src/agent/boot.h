#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/agent_protocol.h"
#include "aws/settings.h"
#include "base/result.h"
#include "objstore/object_store.h"

namespace buoy::agent {

// What a machine is told at its first boot (its user data is the same for all machines of a pool, and may be
// read by whoever may read the account's instances): {"store": URI, "cluster": ID}.
struct BootConfig {
  std::string store, cluster;
};
Result<BootConfig> parseBootConfig(std::string_view json);

// Turns a machine on EC2 into one of the control plane's: takes what was laid for this instance into the
// store (CLUSTER/boot/INSTANCE.json, which is removed then), completed by what only the machine knows, and
// keeps it as agent.json beside `file`; a second time it is read from there. Waits for it for `patience`,
// then says what stood in the way (not_found: nothing was laid; permission_denied: no role).
Result<api::AgentConfig> boot(const std::string& file, const aws::Environment& environment,
                              Duration patience);

}  // namespace buoy::agent
