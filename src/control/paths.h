#pragma once

#include <string>

#include "base/ids.h"

namespace buoy::control {

// Every path in a state directory that the control plane itself uses. docs/formats/state.md lists them.
struct Paths {
  std::string root;

  std::string database() const { return root + "/state.db"; }
  std::string socket() const { return root + "/server.sock"; }
  std::string token() const { return root + "/token"; }
  std::string machineKey() const { return root + "/machine.key"; }
  std::string tls() const { return root + "/tls"; }
  std::string defaultStore() const { return root + "/store"; }
  std::string logs(JobId job) const { return root + "/logs/" + job.toString(); }
};

}  // namespace buoy::control
