#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "engine/events.h"

namespace buoy::cloud {

struct LaunchRequest {
  MachineId machine;
  std::string pool;
  std::string provider_config;  // the pool's own section, JSON
  engine::MachineType type;
  engine::Market market = engine::Market::spot;
  // Types of the pool that would do as well: none is smaller in anything.
  std::vector<engine::MachineType> alternatives = {};
  std::string group = {};    // machines of one gang have the same; empty: it is alone
  std::string agent_config;  // JSON (api/agent_config.h): control plane's address, machine token, store;
                             // given to the agent
};

struct ListedMachine {
  MachineId machine;
  std::string provider_ref;
  bool alive = true;
};

// A source of machines. Threads: calls come from worker threads, several at once for different machines;
// events are delivered from the provider's own threads to the sink, which never blocks for long. Every call
// is idempotent by machine id: launching a machine that exists returns the one that exists.
class Provider {
 public:
  using EventSink =
      std::function<void(engine::Event)>;  // LaunchSucceeded/Failed, MachineGone, MachineAlive, PriceChanged
  virtual ~Provider() = default;

  // Whether machines are elsewhere: their agents need an address of the control plane that they can reach.
  virtual bool remote() const { return false; }
  virtual void launch(const LaunchRequest& request) = 0;  // answers by LaunchSucceeded or LaunchFailed
  virtual void terminate(MachineId machine) = 0;  // answers by MachineGone (also when it never existed)
  virtual void query(MachineId machine) = 0;      // answers by MachineAlive or MachineGone
  virtual void reclaim(MachineId machine, Duration notice) = 0;  // as the market would do it
  // All machines that carry this cluster's mark, for reaping orphans and for reattaching after a restart.
  // Machines in the list are watched from then on: their end comes as MachineGone.
  virtual Result<std::vector<ListedMachine>> list() = 0;
};

}  // namespace buoy::cloud
