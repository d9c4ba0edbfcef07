#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>

#include "base/result.h"
#include "base/units.h"

namespace buoy::os {

struct timespec toTimespec(Time time);

// What the kernel says about a file's content without reading it. Equal: not changed in between, provided
// that the clock ticked between the last change and the first look.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const FileIdentity&) const = default;
  static FileIdentity of(const struct stat& info);
};
// Of an open file; what is no regular file has the empty one.
Result<FileIdentity> identityOf(int fd);

}  // namespace buoy::os
