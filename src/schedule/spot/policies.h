#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// The names of all policies, as people choose them.
std::span<const std::string_view> policyNames();

// A policy within the safety net. not_found: no policy has this name.
Result<std::unique_ptr<engine::SpotPolicy>> makePolicy(std::string_view name);

}  // namespace buoy::schedule::spot
