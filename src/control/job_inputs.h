#pragma once

#include <string>
#include <vector>

#include "api/job_spec.h"
#include "store/store.h"

namespace buoy::control {

// Names every job that an input comes from by its id (the newest job of that name), so that the input means
// the same job in every attempt. The problems: what is known now to be impossible, such as a job that does
// not exist or keeps no checkpoints. Whether the job has what is wanted by then, is found when this one
// starts. If the request has made a job before, names mean what they meant to that one, so that a repeat is
// equal to it. Threads: any.
std::vector<api::Problem> resolveInputs(store::Store& store, api::JobSpec& spec,
                                        const std::string& request_id);

}  // namespace buoy::control
