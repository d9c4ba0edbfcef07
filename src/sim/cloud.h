#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/events.h"
#include "sim/core.h"
#include "sim/market.h"

namespace buoy::sim {

// Where machines come from in the simulated world: a pool of the engine and the market behind its spot
// machines.
struct Zone {
  engine::Pool pool;
  std::shared_ptr<const Market> market;
};

struct CloudTiming {
  Duration call_min{20'000}, call_max{200'000};         // a call to the provider, until it takes effect
  Duration news_min{20'000}, news_max{200'000};         // the provider's word, until it arrives
  Duration boot_min{20'000'000}, boot_max{60'000'000};  // from the machine's beginning to its agent's
  Duration end_min{500'000}, end_max{5'000'000};        // an ordered end
  Duration notice{120'000'000};                         // of a reclaim; zero: none is given
};

// What the cloud charges for one machine.
struct Bill {
  Time since{}, until{};
  ExactCost cost = 0;
};

// The provider: it makes machines, ends them, takes them back when its market says so, and writes its own
// bill. It knows nothing of jobs.
class Cloud {
 public:
  struct Ports {
    std::function<void(engine::Event event)> tell;                 // the control plane, if it can be reached
    std::function<void(MachineId machine)> boot;                   // the machine's agent starts
    std::function<void(MachineId machine, Time deadline)> notice;  // the machine is told of its reclaim
    std::function<void(MachineId machine)> ended;
    std::function<void(MachineId machine, const Bill& bill)> billed;
  };
  // Faults that are on, by zone.
  struct Trouble {
    Time launches_fail_until{};
    engine::LaunchError error = engine::LaunchError::throttled;
    Time slow_until{};        // calls and boots take ten times as long
    Time mute_until{};        // its word is lost
    Time dead_boots_until{};  // agents of machines made meanwhile never start
  };
  enum class Warned : std::uint8_t { in_time, late, never };

  Cloud(Core& core, CloudTiming timing, std::vector<Zone> zones, Ports ports);

  void start();
  // What the engine wants of the provider; `machine` is the state's at that instant.
  void launch(const engine::Machine& machine);
  void terminate(MachineId machine);
  void query(MachineId machine);
  void reclaim(MachineId machine, Duration notice);
  // What is due.
  void onCall(std::uint64_t letter);
  void onMarket(std::uint64_t zone);
  void onWarning(std::uint64_t zone);
  void onBoot(MachineId machine);
  void onEnd(MachineId machine);

  // Its agent has switched the machine off.
  void switchedOff(MachineId machine);
  // Takes one machine, whatever the market says.
  void take(MachineId machine, Duration notice, Warned warned);
  // Says that the machine has vanished, which is not true. Nothing of a machine without an agent: nobody but
  // the control plane's next start would find it.
  bool denies(MachineId machine);
  Trouble& trouble(std::size_t zone) { return zones_[zone % zones_.size()].trouble; }
  Warned warned = Warned::in_time;  // how the market's own reclaims are told

  bool alive(MachineId machine) const;
  // The `pick`-th of those that live, in no special order; none: nothing lives.
  MachineId pick(std::uint32_t pick) const;
  std::size_t liveCount() const { return live_.size(); }
  const std::vector<MachineId>& live() const { return live_; }
  const std::vector<engine::Pool> pools() const;
  std::uint64_t reclaims() const { return reclaims_; }
  // All prices as they are now, for a control plane that was away.
  void tellPrices();
  // From now on there is room for everything.
  void calm() { calm_ = true; }

 private:
  struct Instance {
    MachineId id;
    std::uint32_t zone = 0, type = 0;
    engine::Market market = engine::Market::spot;
    bool made = false;  // it exists now
    bool over = false;  // it existed
    bool booted = false;
    engine::GoneReason reason = engine::GoneReason::vanished;
    Time since{}, until{};
    Time calls_until{};             // its calls take effect one after the other
    std::optional<Time> doomed_at;  // when it will end
    std::uint32_t place = 0, place_in_zone = 0;
  };
  struct Prices {
    struct Step {
      Time from{};
      PricePerHour price;
      ExactCost before = 0;  // what a machine would have cost from the beginning up to `from`
    };
    std::vector<Step> steps;
    ExactCost upTo(Time at) const;
  };
  struct ZoneState {
    Zone zone;
    std::vector<Prices> spot;  // by type
    std::vector<MachineId> live_spot;
    Trouble trouble;
  };
  struct Call {
    enum class Kind : std::uint8_t { launch, terminate, query, reclaim } kind;
    MachineId machine;
    Duration notice{};
  };

  void call(Call call);
  void make(Instance& instance);
  void end(Instance& instance, engine::GoneReason reason);
  void tell(const Instance& instance, engine::Event event);
  void tellGone(const Instance& instance);
  void doom(Instance& instance, Time at, Duration notice, Warned how);
  void setPrices(std::size_t zone, const Offer& offer, bool tell);
  void planMarket(std::size_t zone);
  void takeOver(std::size_t zone, std::int32_t capacity, std::optional<Time> at);
  engine::LaunchError refusal(const Instance& instance, bool& refused) const;
  Duration draw(Duration low, Duration high, std::uint64_t machine, std::uint64_t what) const;
  std::size_t zoneOf(const std::string& pool) const { return zone_by_pool_.at(pool); }

  Core& core_;
  const CloudTiming timing_;
  Ports ports_;
  std::vector<ZoneState> zones_;
  std::map<std::string, std::size_t> zone_by_pool_;
  IdTable<Instance> instances_;
  std::vector<MachineId> live_;
  Letters<Call> calls_;
  std::uint64_t reclaims_ = 0;
  bool calm_ = false;
};

}  // namespace buoy::sim
