#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/spotty/choice.h"
#include "cli/spotty/reach.h"

namespace buoy::cli {

// Files between the project and the workspace's machine: what is new or differs goes over, nothing is removed
// on either side. Filters are the AWS CLI's (objstore/transfer/filters.h).
struct FileReport {
  std::uint64_t files = 0, bytes = 0;
};
using OnFile = std::function<void(const std::string& path)>;

// The project's files as its syncFilters say. `on_file` is told each that goes over; with `dry_run` none
// does.
Result<FileReport> sendProject(const SpottyChoice& choice, const Reach& reach, bool dry_run,
                               const OnFile& on_file);
// From the machine, what one of the patterns matches.
Result<FileReport> fetchFiles(const SpottyChoice& choice, const Reach& reach,
                              const std::vector<std::string>& patterns, bool dry_run, const OnFile& on_file);

}  // namespace buoy::cli
