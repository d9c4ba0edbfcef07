#pragma once

#include <memory>
#include <string>

#include "aws/refresh.h"
#include "aws/shared_files.h"
#include "base/clock.h"
#include "base/units.h"

namespace buoy::aws {

struct MetadataOptions {
  bool disabled = false;                            // AWS_EC2_METADATA_DISABLED
  std::string endpoint = "http://169.254.169.254";  // AWS_EC2_METADATA_SERVICE_ENDPOINT(_MODE)
  bool allow_v1 = true;                             // AWS_EC2_METADATA_V1_DISABLED
  Duration timeout = std::chrono::seconds{1};       // of each request; AWS_METADATA_SERVICE_TIMEOUT
  int attempts = 1;                                 // AWS_METADATA_SERVICE_NUM_ATTEMPTS
};

// From the environment, else the profile (ec2_metadata_service_endpoint and so on).
Result<MetadataOptions> metadataOptions(const Environment& environment, const SharedFiles& files,
                                        const std::string& profile);

// The role of the EC2 instance. Asks by IMDSv2; without a token only if the service knows none (or its answer
// does not reach this far: a container with a hop limit of 1). Where nobody answers and nobody ever did:
// unauthenticated with `nowhere_else` (what else was looked at), since this is no instance then. `clock` must
// outlive it.
std::unique_ptr<CredentialsSource> instanceMetadata(MetadataOptions options, std::string nowhere_else,
                                                    const Clock& clock);

}  // namespace buoy::aws
