#pragma once

#include <optional>
#include <string_view>

#include "base/units.h"

namespace buoy::cloud::aws {

// What a type cost on demand (Linux, USD an hour), for when AWS cannot be asked: common types in some
// regions, approximate, as of kTableDate. nullopt: not in the table.
std::optional<PricePerHour> tablePrice(std::string_view type, std::string_view region);
inline constexpr std::string_view kTableDate = "2025-06";

}  // namespace buoy::cloud::aws
