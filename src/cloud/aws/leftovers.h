#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cloud/aws/ec2.h"

namespace buoy::cloud::aws {

// Something in the account that a cluster of Buoy made.
struct Leftover {
  enum class Kind {
    instance,
    volume,
    file_system,
    mount_target,
    launch_template,
    security_group,
    instance_profile
  };
  Kind kind = Kind::instance;
  std::string id;
  MachineId machine;  // of an instance
};
std::string_view toString(Leftover::Kind kind);

// All of one region that carries the cluster's tag or name, in the order in which it can be removed. Key
// pairs are not among them: they are kept, as their private keys are; nor are volumes, snapshots and file
// systems, but for those that were to be deleted with their jobs.
Answer<std::vector<Leftover>> findLeftovers(Ec2& ec2, const std::string& cluster,
                                            const std::stop_token& stop);
// A group or a volume is waited for until its last instance has let it go.
Answer<void> removeLeftover(Ec2& ec2, const Leftover& leftover, const std::stop_token& stop);

}  // namespace buoy::cloud::aws
