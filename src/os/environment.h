#pragma once

#include <map>
#include <string>

namespace buoy::os {

// A copy of this process's environment. Not while another thread changes it.
std::map<std::string, std::string> processEnvironment();

}  // namespace buoy::os
