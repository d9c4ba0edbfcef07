#pragma once

#include <stop_token>

#include "base/units.h"

namespace buoy {

// Waits so long, or until `stop` is requested: false then. Any thread.
bool pauseFor(Duration duration, const std::stop_token& stop);

}  // namespace buoy
