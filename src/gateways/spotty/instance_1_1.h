#pragma once

#include "gateways/spotty/project.h"
#include "gateways/spotty/section.h"

namespace buoy::gateways::spotty {

// The `instance` of 1.1, which is machine and container in one: the project's only instance and container.
// The keys of its parameters are those of 1.2, under which they are read when the instance is used.
void readInstance11(Section& root, const std::string& remote_dir, Project& project);

}  // namespace buoy::gateways::spotty
