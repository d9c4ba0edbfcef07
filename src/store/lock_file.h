#pragma once

#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::store {

// An exclusive lock for as long as the descriptor lives, with the holder's process id in the file. The kernel
// lets go of it when the process ends, however it ends. failed_precondition, naming the holder, when somebody
// has it.
Result<os::Fd> takeLockFile(const std::string& path);

}  // namespace buoy::store
