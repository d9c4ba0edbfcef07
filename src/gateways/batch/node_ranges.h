#pragma once

#include <map>
#include <string>

#include "api/job_spec.h"
#include "api/json_writer.h"
#include "gateways/batch/container.h"
#include "gateways/batch/job_definitions.h"

namespace buoy::gateways::batch {

// A job of several nodes as a gang of machines: rank 0 is the main node. Fills run, image, resources and
// machines of `spec` and what DescribeJobs tells of the nodes. Each range of nodes may have a container of
// its own; all machines are as large as the largest needs. invalid_argument.
Status prepareNodes(front::Body& request, const Definition& definition, const Parameters& parameters,
                    const std::map<std::string, std::string>& variables, api::JobSpec& spec,
                    api::JsonWriter& door);

}  // namespace buoy::gateways::batch
