#pragma once

#include "control/job_watchers.h"

namespace buoy::control {

// Tells those who follow a job that something about it was committed, and whether the job has finished.
// Callbacks run on the writer's thread: they must not block.
using Feed = JobWatchers<bool>;

}  // namespace buoy::control
