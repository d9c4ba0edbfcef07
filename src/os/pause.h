#pragma once

#include <stop_token>

#include "base/units.h"

namespace buoy::os {

// Waits. False: `stop` was requested, before or meanwhile.
bool pauseFor(Duration duration, const std::stop_token& stop);

}  // namespace buoy::os
