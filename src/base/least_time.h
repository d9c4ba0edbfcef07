#pragma once

#include <string>

#include "base/units.h"

namespace buoy {

// A time that must not be less, for people: rounded up to whole minutes, or seconds where it is shorter than
// an hour, and written so that parseDuration reads just that ("49h 22m", "2m 5s"). Whoever asks for what it
// says is not refused again.
std::string leastTimeText(Duration least);
Duration leastTime(Duration least);  // what that text says

}  // namespace buoy
