#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/spot_policy.h"
#include "schedule/spot/planners.h"

namespace buoy::schedule::spot {

// The names of all policies, as people choose them.
std::span<const std::string_view> policyNames();

// A policy within the safety net. `planners`: what the policy "buoy" has learned; the others need none.
// not_found: no policy has this name.
Result<std::unique_ptr<engine::SpotPolicy>> makePolicy(std::string_view name,
                                                       const std::shared_ptr<Planners>& planners);
Result<std::unique_ptr<engine::SpotPolicy>> makePolicy(std::string_view name,
                                                       const std::shared_ptr<Planner>& planner);

}  // namespace buoy::schedule::spot
