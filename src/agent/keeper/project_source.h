#pragma once

#include <string>

#include "agent/keeper/container_words.h"
#include "base/result.h"

namespace buoy::agent {

// Fetches the project's copy at `source` ("s3://bucket/prefix") into `directory`: what is missing, has
// another size or is older there. With `keep_newer` a file that was changed here after its copy stays as it
// is. Nothing is removed. Keys and endpoints as AWS's own tools find them in `environment`. Starts threads,
// which have ended when it returns. The error is the first one; the other files are fetched all the same.
Status fetchProject(const std::string& source, const std::string& directory, bool keep_newer,
                    const Environment& environment);

}  // namespace buoy::agent
