#pragma once

#include "base/result.h"

namespace buoy::agent {

// Whether what a store or a disk says may be better later: then it is tried again, and is no fault of the
// job.
inline bool mayPass(const Error& error) {
  return error.retryable || error.code == ErrorCode::unavailable ||
         error.code == ErrorCode::deadline_exceeded || error.code == ErrorCode::resource_exhausted;
}

}  // namespace buoy::agent
