#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

// How AWS Batch names things. Pure.
namespace buoy::gateways::batch {

inline constexpr std::string_view kAccount = "000000000000";

enum class Thing { compute_environment, job_queue, job_definition, job, scheduling_policy };
std::string_view wordOf(Thing thing);  // "compute-environment", as in an ARN

std::string arnOf(std::string_view region, Thing thing, std::string_view name);
// The name in an ARN of this kind of thing, whatever its region and account; any other text as it is.
std::string nameIn(std::string_view reference, Thing thing);
// "job-queue/train" of any ARN of Batch; invalid_argument.
struct Named {
  Thing thing;
  std::string name;
};
Result<Named> parseArn(std::string_view arn);
// 1 to 128 letters, digits, '-' and '_', beginning with a letter or digit; invalid_argument naming `field`.
Status checkName(std::string_view field, std::string_view name);

}  // namespace buoy::gateways::batch
