#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/synchronized.h"
#include "cloud/local/machine_dir.h"
#include "cloud/local/market.h"
#include "cloud/provider.h"
#include "engine/events.h"

namespace buoy::cloud::local {

// What the markets of all local pools know: how many spot machines each pool has launched (kept in
// STATE/pools/POOL.json, so that a script goes on after a restart), when its trace began, and which of its
// machines run. Threads: any.
class PoolMarkets {
 public:
  PoolMarkets(std::string state_dir, const Clock& clock);

  struct Admission {
    std::uint64_t order = 0;
    std::optional<Appointment> appointment;
    Duration usual_notice{};  // what such a machine is told before it is taken; zero: nothing
  };
  // A place for this machine, the same when asked again. resource_exhausted: the trace has no capacity now;
  // invalid_argument: the pool's configuration or trace cannot be read. On-demand machines are always
  // admitted.
  Result<Admission> admit(const LaunchRequest& request);
  // A machine of an earlier run of the control plane.
  void readmit(const MachineRecord& record);

  using Reschedule = std::pair<MachineId, std::optional<Appointment>>;
  // The machine has ended. In a traced pool those launched after it move up: their new appointments.
  std::vector<Reschedule> release(MachineId machine);

  // Prices of traced pools that have changed since they were last asked for.
  std::vector<engine::PriceChanged> newPrices();
  std::optional<Time> nextPriceChange();

 private:
  struct Pool {
    std::string config;
    Market market;
    std::unique_ptr<TraceMarket> trace;
    std::uint64_t launched = 0;
    std::map<std::string, std::uint64_t> recent;  // order by machine, of the newest few
    std::optional<Time> origin;
    bool loaded = false;
    std::map<std::uint64_t, MachineId> running;  // by order
    std::map<std::string, PricePerHour> told;    // by type
    std::set<std::string> types;
  };
  struct State {
    std::map<std::string, Pool> pools;
    std::map<MachineId, std::string> pool_of;
  };

  std::string pathOf(const std::string& pool) const { return state_dir_ + "/pools/" + pool + ".json"; }
  void load(const std::string& name, Pool& pool);
  Status save(const std::string& name, const Pool& pool);
  Result<Pool*> configure(State& state, const std::string& name, const std::string& config);
  Result<std::uint64_t> orderOf(const std::string& name, Pool& pool, MachineId machine);

  const std::string state_dir_;
  const Clock& clock_;
  Synchronized<State> state_;  // its lock also orders the writes of the pools' files
};

}  // namespace buoy::cloud::local
