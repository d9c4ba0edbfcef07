#pragma once

#include <string_view>

namespace buoy::os {

// A place where the tests may kill the process: BUOY_CRASH_AT=name or name:N (the N-th passing) ends it by
// SIGKILL. One relaxed load and a branch when the variable is not set. Names are listed in docs/testing.md.
void crashPoint(std::string_view name);

}  // namespace buoy::os
