#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "objstore/object_store.h"

namespace buoy::agent {

// '/'-separated glob: '*' and '?' within a component, "**" for any number of components, [a-z] sets.
bool matchesGlob(std::string_view pattern, std::string_view path);

struct OutputReport {
  std::vector<std::string> stored;    // relative paths
  std::vector<std::string> problems;  // sentences: what was not there or was refused
  std::uint64_t bytes = 0;
};

// Stores what `outputs` (paths, directories or globs, relative to `work`) name as "<prefix>/outputs/<path>".
// A link is followed if it leads to a file inside `work` and refused otherwise. An error is one of the
// store's: some outputs may be stored then. Worker thread.
Result<OutputReport> storeOutputs(const std::string& work, const std::vector<std::string>& outputs,
                                  objstore::ObjectStore& store, const std::string& prefix);

}  // namespace buoy::agent
