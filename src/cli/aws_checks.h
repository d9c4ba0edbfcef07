#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cli/cli.h"
#include "cloud/aws/ec2.h"

namespace buoy::cli {

// AWS with this user's keys, as AWS's own tools find them. Empty `region`: theirs, too. invalid_argument and
// unauthenticated as aws::loadSettings and aws::defaultCredentials.
Result<std::unique_ptr<cloud::aws::Ec2>> openAws(const std::string& profile, const std::string& region);

const Clock& wallClockOfAws();

// What of AWS is there that a pool needs, and what to do about what is not. Changes nothing.
std::vector<Check> checkAws(const std::string& profile, const std::string& region);

}  // namespace buoy::cli
