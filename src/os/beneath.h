#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

// Paths that cannot leave a directory: relative to an open root, no symbolic link is followed anywhere on the
// way, so that nobody who may write below the root can lead us out of it. Threads: any.
namespace buoy::os {

// `path`: relative, '/'-separated, no "." or ".." component; "" is the root itself. O_CLOEXEC always.
// permission_denied naming the path when a symbolic link stands in the way.
Result<Fd> openBeneath(int root, const std::string& path, int flags, unsigned mode = 0);

// Opens the directory for reading, creating what is missing (each new entry synced to disk when `durable`).
Result<Fd> makeDirectoriesBeneath(int root, const std::string& path, unsigned mode, bool durable);

// Names in an open directory, without "." and "..", in byte order.
Result<std::vector<std::string>> directoryNames(int directory);

// Removes an entry of an open directory with all that is below it; missing is success. Write-protected
// directories of our own are opened up for it.
Status removeEntry(int directory, const std::string& name);

}  // namespace buoy::os
