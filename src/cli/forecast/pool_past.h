#pragma once

#include <string>
#include <vector>

#include "api/job_spec.h"
#include "cli/context.h"
#include "schedule/spot/availability_model.h"

// What a server has seen of its pools, for a forecast to learn from.
namespace buoy::cli {

struct PoolPast {
  std::vector<schedule::spot::History> histories;
  std::string said;  // a line for the report: what was learned from where, or why nothing was
};

// Of the pools that the job would use. Starts no server.
PoolPast pastOfPools(const Context& context, const api::JobSpec& job);

}  // namespace buoy::cli
