#pragma once

#include <string_view>

namespace buoy::container {

// The executable that is process 1 of a job's container (init/main.cc), linked statically: for any image.
std::string_view initProgram();

}  // namespace buoy::container
