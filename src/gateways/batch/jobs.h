#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"
#include "gateways/batch/operations.h"

namespace buoy::gateways::batch {

// "j42", "j42:7" (of an array), "j42#1" (of several nodes), or the ARN of one.
struct JobReference {
  JobId job;
  std::optional<std::uint32_t> index;  // in the array
  std::optional<std::uint32_t> node;
};
Result<JobReference> parseJobReference(std::string_view text);  // invalid_argument

// What submitJob kept of a job for this door (docs/formats/state.md); {} for a job of another.
Result<front::Body> doorOf(std::string_view spec);

// "j42", or "j42:7" of a task; and the job's name, of a task its array's.
std::string idOf(const engine::Job& job);
std::string nameOf(const engine::Job& job);
// "RUNNABLE" … of a job.
std::string_view statusOf(const engine::Job& job);
// When the attempt that runs, or the last one, started; zero: none did.
Time startedAt(const engine::Job& job);
Time stoppedAt(const engine::Job& job);  // zero: it has not
// AWS's sentence for it.
std::string statusReason(const engine::Job& job);
// "train/default/j42.1": of one attempt and rank.
std::string logStreamName(std::string_view definition, JobId job, std::uint32_t attempt, std::uint32_t rank);

}  // namespace buoy::gateways::batch
