#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "objstore/object_store.h"
#include "os/file_state.h"

namespace buoy::objstore {

// A directory's files as they are, as plain objects under a prefix, for programs that know nothing of Buoy's
// versions. Several machines may share a prefix: what others have put there is never removed. It is a copy
// and no more: files stand in it as each was complete, which need not be one instant, and links and empty
// directories are left out. Not thread-safe.
class Mirror {
 public:
  // `store`: its root is the prefix.
  explicit Mirror(std::shared_ptr<ObjectStore> store) : store_(std::move(store)) {}

  struct Stats {
    std::uint64_t files = 0, bytes = 0;  // copied
    std::uint64_t removed = 0;
  };

  // Brings the prefix up to date: what has changed since the last call is put, but for `skip` (relative paths
  // that are being written). What this object has put is removed when the file is gone, if the object still
  // is what was put. A file that changes while it is read is left for the next call. An error: some is done.
  Result<Stats> put(const std::string& directory, const std::vector<std::string>& skip, std::stop_token stop);

  // All files under the prefix into the directory (created), over what is there. Keys that can be no file's
  // name are left out; data_loss and others as the store says.
  Result<Stats> fetch(const std::string& directory, std::stop_token stop);

 private:
  struct Placed {
    os::FileIdentity identity;  // of the file
    std::string etag;           // of the object
  };
  Status removeGone(const std::unordered_set<std::string>& present, Stats& stats);

  const std::shared_ptr<ObjectStore> store_;
  std::unordered_map<std::string, Placed> placed_;  // by path
};

}  // namespace buoy::objstore
