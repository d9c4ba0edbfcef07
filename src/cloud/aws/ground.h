#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cloud/aws/ec2.h"
#include "cloud/aws/machine_store.h"
#include "cloud/aws/pool_config.h"
#include "engine/types.h"

namespace buoy::cloud::aws {

// What must be there before a machine of a pool can be launched: image, subnets, group, profile, key, the
// agent in the store, and a template of all of it.
struct Ground {
  struct Place {
    std::string zone, subnet;
  };
  std::string launch_template;
  std::int64_t version = 1;
  std::vector<Place> places;  // one a zone
  Time valid_until{};         // the template's URL works as long
};

struct GroundOptions {
  std::string state_dir;   // keys are kept in state_dir/keys
  std::string agent_path;  // of buoy-agent, a static program
  std::string cluster;
  std::string caller_address_url;  // answers with the address that it is asked from
};

// Makes it, or finds what an earlier run made. Every step may be repeated: things are known by their names
// and tags. Blocks; one thread for each. Errors are one sentence with what to do; nothing that was made is
// taken back, since the next try needs it (`buoy aws orphans` removes it).
class GroundMaker {
 public:
  GroundMaker(Ec2& ec2, MachineStore& store, const GroundOptions& options, std::stop_token stop)
      : ec2_(ec2), store_(store), options_(options), stop_(std::move(stop)) {}

  Answer<Ground> make(const PoolConfig& config, const std::vector<engine::MachineType>& types);

 private:
  Answer<Image> image(const PoolConfig& config);
  Answer<void> checkTypes(const Image& image, const std::vector<engine::MachineType>& types);
  Answer<std::string> vpc(const PoolConfig& config);
  Answer<std::vector<Ground::Place>> places(const PoolConfig& config, std::string* vpc);
  Answer<void> checkRoutes(const std::string& vpc, const std::vector<Ground::Place>& places);
  Answer<std::vector<std::string>> groups(const PoolConfig& config, const std::string& vpc);
  Answer<std::vector<std::string>> sshSources(const PoolConfig& config);
  Answer<void> keyPair(const PoolConfig& config);
  std::string profileName(const PoolConfig& config) const;
  Answer<std::string> profile(const PoolConfig& config);
  struct Agent {
    std::string url, sha256;
    Time valid_until{};
  };
  Answer<Agent> agent();
  Answer<LaunchTemplate> launchTemplate(TemplateData data, const PoolConfig& config, Time* valid_until);
  std::string bootConfig() const;
  Result<std::string> userData(const PoolConfig& config, const Agent& agent) const;
  std::vector<Tag> tags(const PoolConfig& config) const;

  Ec2& ec2_;
  MachineStore& store_;
  const GroundOptions& options_;
  const std::stop_token stop_;
};

}  // namespace buoy::cloud::aws
