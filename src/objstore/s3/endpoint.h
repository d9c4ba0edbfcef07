#pragma once

#include <string>

#include "aws/settings.h"
#include "base/result.h"
#include "net/http.h"

namespace buoy::objstore::s3 {

// Where a bucket is asked for.
struct BucketEndpoint {
  net::Endpoint server;
  std::string host;         // the Host header, which is signed
  std::string path_prefix;  // "/bucket" or ""; the endpoint's own path before it
  bool is_aws = false;
};

// AWS's own endpoint of `region`, or the one of the settings (which may have a path). `bucket` may be empty:
// the service itself. invalid_argument: the endpoint of the settings is no URL.
Result<BucketEndpoint> endpointOf(const aws::Settings& settings, const std::string& region,
                                  const std::string& bucket);

}  // namespace buoy::objstore::s3
