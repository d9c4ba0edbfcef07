#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace buoy::objstore {

// A file below a directory, or an object below a prefix.
struct TreeEntry {
  std::string path;  // relative to that: never begins with '/' for files
  std::uint64_t size = 0;
  Time modified{};
  std::string etag;  // of objects
};

// Entries in byte order of their whole paths, which is the order of a bucket's listing. Not thread-safe.
class TreeStream {
 public:
  virtual ~TreeStream() = default;
  // Fills `entry`; false when there are no more.
  virtual Result<bool> next(TreeEntry& entry) = 0;
};

}  // namespace buoy::objstore
