#pragma once

#include <functional>
#include <string>

#include "cli/connection.h"

namespace buoy::cli {

// Stores the body of an answer as a file, whole or not at all: into a temporary file, then renamed.
// `progress` is told of every piece.
Status fetchFile(Connection& connection, const std::string& target, const std::string& path,
                 const std::function<void(std::uint64_t)>& progress);

}  // namespace buoy::cli
