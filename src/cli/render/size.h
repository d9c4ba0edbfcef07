#pragma once

#include <string>

#include "engine/types.h"

namespace buoy::cli {

// "4 cpus, 2 gpus, 16.0 GiB", without what is zero.
std::string sizeText(const engine::Resources& resources);

}  // namespace buoy::cli
