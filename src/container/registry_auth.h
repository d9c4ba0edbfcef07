#pragma once

#include <string>
#include <string_view>

#include "container/runtime.h"

namespace buoy::container {

// X-Registry-Auth for pulling `image`, from what `docker login` has written into config.json (below
// DOCKER_CONFIG, else ~/.docker); empty: nothing is known of its registry. Credential helpers are not asked.
std::string registryCredentials(std::string_view image, const Environment& environment);

// The part that reads text: `registry` is as registryOf() names it.
std::string credentialsIn(std::string_view config_json, const std::string& registry);

}  // namespace buoy::container
