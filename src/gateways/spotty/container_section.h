#pragma once

#include "gateways/spotty/project.h"
#include "gateways/spotty/section.h"

namespace buoy::gateways::spotty {

// One container of any format: an item of `containers`, the `container` of 1.2.
Container readContainer(api::Problems& problems, const api::Node& node, const std::string& path,
                        Format format);
// What 1.1 says of its container in `instance.docker` and `project.remoteDir`.
Container readDocker(Section& instance, const std::string& project_dir, const std::vector<int>& ports,
                     Parameters& parameters);

}  // namespace buoy::gateways::spotty
