#pragma once

#include "cli/context.h"
#include "cli/spotty/choice.h"
#include "cli/spotty/reach.h"

namespace buoy::cli {

// Makes the container's declared ports reachable at localhost, and says where each is. What is not there is
// said and is no failure.
void openPorts(const Context& context, const SpottyChoice& choice, const Reach& reach);

}  // namespace buoy::cli
