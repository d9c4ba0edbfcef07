#pragma once

#include "api/node.h"

namespace buoy::gateways::spotty {

// spotty.override.yaml over spotty.yaml: maps go into each other, `containers` and `instances` at the top by
// their `name` (a container without one is "default"), all else is replaced. `over`'s lines are moved behind
// kOverrideLines (section.h).
void mergeOverride(api::Node& base, api::Node over);

}  // namespace buoy::gateways::spotty
