#pragma once

#include <string>

namespace buoy::os {

// The directory that `path` is in: "." for a name alone, "/" below the root.
std::string parentOf(const std::string& path);
// Whether anything is there (a link counts for what it leads to).
bool exists(const std::string& path);

}  // namespace buoy::os
