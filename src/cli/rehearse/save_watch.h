#pragma once

#include <string>

#include "base/units.h"
#include "os/inotify.h"

namespace buoy::cli {

// Sees that files below a job's checkpoint directory are being written. Not thread-safe.
class SaveWatch {
 public:
  // From now on; the directory and those directly in it.
  static Result<SaveWatch> create(const std::string& directory);
  // Whether something was written since the last call, waiting for it at most `limit`.
  bool saving(Duration limit);

 private:
  explicit SaveWatch(os::Inotify inotify) : inotify_(std::move(inotify)) {}
  os::Inotify inotify_;
};

}  // namespace buoy::cli
