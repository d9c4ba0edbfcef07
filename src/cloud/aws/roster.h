#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cloud/aws/answers.h"
#include "cloud/aws/launched.h"
#include "cloud/provider.h"

namespace buoy::cloud::aws {

// What this provider knows of its machines, and what follows from what EC2 shows of them. No I/O: the caller
// looks at EC2 and tells the events. Not thread-safe. `now` is any clock that does not go back.
class Roster {
 public:
  explicit Roster(std::string cluster) : cluster_(std::move(cluster)) {}

  struct Known {
    std::string account;   // where it is; empty: not known
    std::string instance;  // empty: not known (yet)
    std::string pool, type, zone, group;
    bool spot = false;
    bool launching = false;
    bool unwanted = false;                          // to be terminated
    bool asked = false;                             // QueryMachine waits for an answer
    bool announced = false;                         // its address was told
    bool ordered = false;                           // TerminateInstances was answered
    bool equipped = false;                          // this process laid out what it begins with
    bool left_zone = false;                         // of its job's volumes some are elsewhere and follow it
    Time since{};                                   // first known here
    Time seen{};                                    // shown by EC2; zero: never
    Time launched{};                                // by EC2's account
    std::optional<engine::GoneReason> told_reason;  // of an end that this provider was asked to play
  };

  // What must be done after a call.
  struct Outcome {
    std::vector<engine::Event> events;
    std::map<std::string, std::vector<std::string>> terminate;  // instances by account
    std::vector<std::string> gone;                              // instances that are no more
  };

  // ---- a launch. False: it exists, or is being launched already; then `known` is told.
  bool beginLaunch(const LaunchRequest& request, Time now);
  void launchedAs(MachineId machine, const std::string& account, const Launched& made, Time now,
                  Outcome& out);
  void launchFailed(MachineId machine);
  void equipped(MachineId machine);

  // ---- orders
  void terminate(MachineId machine, Time now, Outcome& out);
  void query(MachineId machine, Time now);
  void reclaim(MachineId machine, Time now, Outcome& out);
  void terminated(const std::vector<std::string>& instances);  // EC2 has taken the order

  // ---- all that EC2 shows of one account now
  void see(const std::string& account, const std::vector<Instance>& instances, Time now, Outcome& out);
  // After that, with the same `now`: what these accounts did not show for too long is gone. `all`: there are
  // no other accounts, so that a machine nobody knows is nowhere.
  void concludeMissing(const std::set<std::string>& looked_at, bool all, Time now, Outcome& out);

  // Something is expected to change soon: look often.
  bool restless() const;
  const std::map<MachineId, Known>& machines() const { return machines_; }
  const Known* find(MachineId machine) const;

 private:
  static void tellEnd(MachineId machine, const Known& known, const Instance& instance, Outcome& out);
  void seeOne(const std::string& account, MachineId machine, const Instance& instance, Time now,
              Outcome& out);
  static void order(Known& known, Outcome& out);

  const std::string cluster_;
  std::map<MachineId, Known> machines_;
  // Instances whose end was told, by account, as long as EC2 shows them.
  std::map<std::string, std::set<std::string>> ended_;
};

// Why an instance is no more, for people and for the engine.
struct End {
  engine::GoneReason reason = engine::GoneReason::vanished;
  std::string detail;
};
End endOf(const Instance& instance);

}  // namespace buoy::cloud::aws
