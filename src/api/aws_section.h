#pragma once

#include <string>

#include "api/reader.h"

namespace buoy::api {

// The section `aws` of a pool of that provider (docs/aws.md), as kept in engine::Pool::provider_config.
std::string readAwsSection(MapReader& pool);

}  // namespace buoy::api
