#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aws/settings.h"

namespace buoy::aws {

// AWS_ENDPOINT_URL_EC2 and so on, and what the shared files say for the profile of `settings`: by service,
// only those that are configured. Errors as loadSettings.
Result<std::map<std::string, std::string>> loadEndpoints(const Environment& environment,
                                                         const Settings& settings,
                                                         const std::vector<std::string>& services);

// Where a service is asked, and the region that its signature names.
struct ServiceEndpoint {
  std::string url;
  std::string signing_region;
};

// `configured`, else AWS's own in the region of the settings. `service` as the shared files name it: "sts",
// "ec2", "iam", "ssm", "pricing", "efs". IAM and Pricing have one endpoint for all regions of a partition
// (https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html).
ServiceEndpoint serviceEndpoint(const Settings& settings, std::string_view service,
                                std::string configured = {});

}  // namespace buoy::aws
