#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/synchronized.h"
#include "cloud/aws/ec2.h"
#include "cloud/aws/ground.h"
#include "cloud/aws/launch_memory.h"
#include "cloud/aws/launched.h"
#include "cloud/aws/pool_config.h"
#include "cloud/provider.h"

namespace buoy::cloud::aws {

// Where a machine must be for the sake of what waits for it there.
struct LaunchZone {
  std::string name;        // empty: anywhere
  bool may_leave = false;  // if there is none in it
  bool split = false;      // something of it is elsewhere and follows
};

// One launch: every allowed type in every allowed zone is offered to CreateFleet at once, those that failed
// lately only if there is nothing else; a single choice is a RunInstances. Known to EC2 by tokens made of the
// machine's id, so that what is asked again, also after a crash, is what was made the first time. Threads:
// any.
class Launcher {
 public:
  Launcher(std::string cluster, const Clock& clock) : cluster_(std::move(cluster)), clock_(clock) {}

  // The refusal's sentence says what was tried and why each failed.
  Answer<Launched> launch(Ec2& ec2, const Ground& ground, const PoolConfig& config,
                          const LaunchRequest& request, const LaunchZone& zone, const std::stop_token& stop);
  // The group's machines are in one zone: the first one's. `zone` empty: forget it.
  void settleGroup(const std::string& group, const std::string& zone);

 private:
  struct Failure {
    std::string type, zone;  // empty: of the whole request
    RefusalKind kind = RefusalKind::trouble;
    std::string code, message;
  };
  struct Try {
    std::vector<Launched> made;
    std::vector<Failure> failures;
  };
  struct Choices {
    std::vector<Override> fresh, last;  // those that failed lately
  };
  std::vector<Override> places(const Ground& ground, const PoolConfig& config, const LaunchRequest& request);
  Choices choices(std::vector<Override> places, bool spot);
  Answer<Try> attempt(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop);
  Answer<Try> fleet(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop);
  Answer<Try> single(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop);
  Answer<Try> made(Ec2& ec2, const LaunchRequest& request, const std::stop_token& stop);
  void learn(const Try& result, bool spot);
  Refusal refusalFor(const std::vector<Failure>& failures) const;
  std::vector<Tag> tags(const PoolConfig& config, const LaunchRequest& request) const;

  const std::string cluster_;
  const Clock& clock_;
  Synchronized<LaunchMemory> memory_;
  Synchronized<std::map<std::string, std::string>> zone_of_;  // by group
};

}  // namespace buoy::cloud::aws
