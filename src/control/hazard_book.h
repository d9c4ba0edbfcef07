#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "engine/types.h"
#include "schedule/hazard.h"
#include "store/store.h"

namespace buoy::control {

// What the lives of each pool's spot machines say about the next one's: those that the store keeps, and those
// that end or run now. Not thread-safe: the writer's thread has it.
class HazardBook {
 public:
  // The newest machines that are gone, and those that are not.
  Status load(store::Store& store);
  // A machine has changed. The end of one is told once.
  void note(const engine::Machine& machine);
  // Of a machine of this pool and market: on-demand machines are never taken. Found anew at most once a
  // minute.
  const schedule::Hazard& hazardOf(const engine::Machine& machine, Time now);

 private:
  struct Pool {
    schedule::HazardLearner ended;
    std::map<MachineId, Time> running;  // since when
    schedule::Hazard estimate;
    Time estimated{};
  };
  std::map<std::string, Pool> pools_;
};

}  // namespace buoy::control
