#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/scenario.h"
#include "sim/simulation.h"

// The search for faults: a seed is a scenario, a scenario is a run, and what fails is made as short as it can
// be while it still fails.
namespace buoy::sim {

struct SearchOptions {
  const engine::PlacementPolicy* policy = nullptr;
  // A store for one run; empty: a MemoryStore.
  std::function<std::unique_ptr<Persistence>()> store;
};

RunResult runScenario(const Scenario& scenario, const SearchOptions& options);

struct Shrunk {
  Scenario scenario;
  std::string problem;
  int runs = 0;  // that it took
};
// Leaves out whatever the failure does not need (delta debugging: halves first, then single happenings, until
// none can go), then makes what is left simpler. A run that fails otherwise than at first counts too, as long
// as `same` says that it is the same kind of problem.
Shrunk shrink(Scenario scenario, const std::string& problem, const SearchOptions& options);

// Problems without their names and numbers: two of the same kind have the same.
std::string kindOf(const std::string& problem);

// What a person needs to see: the seed, the problem, the world, the shortest list of happenings.
std::string describeFailure(const Shrunk& shrunk);

}  // namespace buoy::sim
