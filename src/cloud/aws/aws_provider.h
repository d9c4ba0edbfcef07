#pragma once

#include <memory>
#include <string>

#include "aws/settings.h"
#include "base/clock.h"
#include "cloud/provider.h"

namespace buoy::cloud::aws {

struct AwsOptions {
  std::string state_dir;   // STATE/aws.json: the regions in which machines may be; STATE/keys: private keys
  std::string agent_path;  // of buoy-agent, a static program
  std::string store;       // URI of the control plane's store
  const Clock& clock;      // outlives the provider
  std::string cluster;     // in the mark that everything carries
  buoy::aws::Environment environment;  // where AWS's tools find region, keys and endpoints
  std::string caller_address_url = "https://checkip.amazonaws.com";
  Provider::JobTeller tell_job = [](JobId, const std::string&) {};
  // How often EC2 is asked for all machines: while something is expected to change soon, and otherwise.
  Duration look_soon = std::chrono::seconds{2}, look_every = std::chrono::seconds{5};
  Duration prices_every = std::chrono::minutes{5};
  // Between two steps of volumes that are being connected or released.
  Duration storage_every = std::chrono::seconds{1};
};

// Machines on EC2, spot and on demand. Its threads launch and watch; the calls return at once, but for
// list(). Destroying the provider leaves the machines alone; the next one finds them by their tags. See
// docs/aws.md.
std::unique_ptr<Provider> makeAwsProvider(AwsOptions options, Provider::EventSink sink);

}  // namespace buoy::cloud::aws
