#pragma once

#include <string>

#include "cli/context.h"
#include "cli/spotty/choice.h"
#include "cli/spotty/reach.h"

namespace buoy::cli {

// Sends what is new or changed of the project: to the machine itself, or on AWS to the bucket, from which the
// machine fetches it. Says a line a file, as the AWS CLI does, unless `quiet`. The exit code.
int syncProject(const Context& context, const SpottyChoice& choice, const Reach& reach, bool dry_run,
                bool quiet);
// The first half on AWS. `copy`: "s3://bucket/project".
int uploadProject(const Context& context, const SpottyChoice& choice, const std::string& copy, bool dry_run,
                  bool quiet);

}  // namespace buoy::cli
