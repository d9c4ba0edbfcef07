#pragma once

#include <optional>
#include <string_view>

#include "base/units.h"
#include "engine/types.h"

namespace buoy::cloud::aws {

// What is known of a type of EC2 without asking: the common ones.
struct KnownType {
  engine::Resources resources;
  // Of a machine with Linux on demand; approximate, as of kTableDate. nullopt: of some regions only.
  std::optional<PricePerHour> price;
};
std::optional<KnownType> knownType(std::string_view type, std::string_view region);
inline constexpr std::string_view kTableDate = "2025-06";

}  // namespace buoy::cloud::aws
