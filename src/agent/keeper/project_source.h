#pragma once

#include <string>

#include "agent/keeper/container_words.h"
#include "agent/keeper/way_in.h"
#include "base/result.h"

namespace buoy::agent {

// Fetches the project's copy at `source` ("s3://bucket/prefix") into `directory`: what is missing, has
// another size or is older there. With `keep_newer` a file that was changed here after its copy stays as it
// is. Nothing is removed. Keys and endpoints as AWS's own tools find them in `environment`. Starts threads,
// which have ended when it returns. The error is the first one; the other files are fetched all the same.
Status fetchProject(const std::string& source, const std::string& directory, bool keep_newer,
                    const Environment& environment);
// What is root's in there becomes the user's, who could not change it otherwise; links themselves, not where
// they lead.
Status giveProject(const std::string& directory, const LoginUser& user);

}  // namespace buoy::agent
