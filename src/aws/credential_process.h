#pragma once

#include <memory>
#include <string>

#include "aws/refresh.h"
#include "aws/settings.h"
#include "base/units.h"

namespace buoy::aws {

// Runs `command` (split into words as a shell does, but without a shell) and takes what it prints: JSON with
// Version 1. `where` names the profile, for messages; of the command only the program is shown there, and of
// what it prints only the last line of standard error, and that only if it fails.
std::unique_ptr<CredentialsSource> credentialProcess(std::string command, std::string where,
                                                     Environment environment,
                                                     Duration limit = std::chrono::minutes{1});

}  // namespace buoy::aws
