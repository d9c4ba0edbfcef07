#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace buoy::gateways::batch {

// One node of a job of several, as this door tells of it.
struct NodeView {
  std::uint32_t index = 0;  // AWS's number of it
  std::uint32_t rank = 0;   // 0: it is the main node
  std::string container;    // of its range: a JSON object; empty: it is not known
};

// `properties`: what submitJob kept (prepareNodes); empty for a job of another door, whose first machine is
// the main one. nullopt: it has no such node.
std::optional<NodeView> nodeOf(const engine::Job& job, std::string_view properties, std::uint32_t index);

}  // namespace buoy::gateways::batch
