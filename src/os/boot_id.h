#pragma once

#include <string>
#include <string_view>

namespace buoy::os {

// What this boot of the machine is called: another after every start of the kernel; "unknown" where /proc is
// not there.
std::string bootId();
// Whether this could be one: "0a1b2c3d-…", as random(4) makes them.
bool isBootId(std::string_view text);

}  // namespace buoy::os
