#pragma once

#include <string>
#include <string_view>

#include "base/units.h"

namespace buoy::cli {

// In the local time zone, as people read it.
std::string clockTime(Time at);  // "12:03:55"
std::string localTime(Time at);  // "2026-11-21 12:03:55"

// The clock's where it is of the same day as `told`.
std::string timeBeside(Time at, Time told);

// A sentence of the server's, whose times ("2026-11-21T12:03:55.250Z") become such ones: those of the same
// day as `told` without the date.
std::string withLocalTimes(std::string_view sentence, Time told);

}  // namespace buoy::cli
