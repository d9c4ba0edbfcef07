#pragma once

#include <string_view>

namespace buoy::api {

// docs/openapi.json, as served by GET /v1/openapi.json.
std::string_view openApiDocument();

}  // namespace buoy::api
