#pragma once

#include <string>

#include "container/spec.h"
#include "gateways/front/body.h"

namespace buoy::gateways::batch {

// How a job definition's container is run: user, privileged, readonlyRootFilesystem, ulimits, volumes with
// mountPoints, linuxParameters. Laid over `spec`; what Buoy's words have no key for becomes an option of
// docker run. File systems of EFS that volumes are in are added to `file_systems`, once each.
// invalid_argument with the field.
Status readRunProperties(front::Body& body, const api::Node* node, const std::string& path,
                         container::Spec& spec, std::vector<cloud::FileSystemSpec>& file_systems);

}  // namespace buoy::gateways::batch
