#pragma once

#include <optional>
#include <string>

#include "engine/types.h"

// Whether a failed attempt is tried again, by the job's rules alone: how often is the engine's. Pure.
namespace buoy::engine {

struct Failure {
  std::optional<std::int32_t> exit_code;  // none: it did not end by itself
  std::string reason;                     // one sentence
  bool lost = false;                      // its machine was
  MachineId machine;
};

// In the words of AWS Batch, so that rules that were written for it match here: "Host EC2 (instance m7)
// terminated.", "Essential container in task exited", "Task failed to start".
std::string failureStatus(const Failure& failure);
bool isRetried(const JobRequest& request, const Failure& failure);

}  // namespace buoy::engine
