#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/source.h"

namespace buoy::cli {

struct UploadStats {
  std::size_t files = 0, new_blobs = 0;
  std::uint64_t bytes = 0, new_bytes = 0;
};

// Uploads what the server does not have yet of these files and then their manifest, whose SHA-256 it returns:
// JobSpec::source. `progress` is told the bytes sent of those to send.
Result<std::string> uploadSource(Connection& connection, const SourceTree& tree,
                                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                                 UploadStats& stats);

}  // namespace buoy::cli
