#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/trace.h"

namespace buoy::cli {

// Recorded markets from files, in the order named; an error names the file. At most 256 MiB each.
Result<std::vector<sim::Trace>> readTraces(std::span<const std::string> files);

}  // namespace buoy::cli
