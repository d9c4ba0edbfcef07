#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "schedule/spot/availability_model.h"
#include "sim/forecast.h"
#include "sim/trace.h"

// What each policy would come to, over many start times of the same job: the exact windows of `buoy
// simulate`, many of them.
namespace buoy::cli {

inline constexpr std::string_view kOmniscient = "omniscient";

struct ForecastRequest {
  std::vector<sim::Trace> zones;  // the market; at least one
  sim::Window window;             // without its start
  std::size_t starts = 500;
  std::uint64_t seed = 1;
  std::vector<std::string> policies;  // names of schedule::spot::policyNames(); on-demand is always run
  bool optimum = true;
  std::vector<schedule::spot::History> learned;  // the past that the policy buoy knows beforehand
  Money budget;                                  // zero: none
};

struct PolicyForecast {
  std::string policy;
  sim::Outlook outlook;
  double of_on_demand = 0;           // its cost over that of on-demand, all starts together
  std::optional<double> of_optimum;  // over the optimum, of the starts for which that is known
  std::optional<double> within_budget;
};

struct Forecast {
  std::size_t starts = 0;
  std::vector<PolicyForecast> policies;
  double on_demand = 0;                      // USD, mean
  std::optional<sim::Distribution> optimum;  // USD, of some of the starts
};

// On all cores. `progress` is called from this thread, with how many starts of how many are done.
// invalid_argument: as sim::validate(). The optimum is found for up to kOptimumStarts of the starts, spread
// evenly; not at all where it would take too long.
inline constexpr std::size_t kOptimumStarts = 200;
Result<Forecast> forecast(const ForecastRequest& request,
                          const std::function<void(std::size_t done, std::size_t of)>& progress);

}  // namespace buoy::cli
