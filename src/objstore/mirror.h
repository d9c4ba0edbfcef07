#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "objstore/object_store.h"
#include "objstore/snapshot.h"
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
  TransferPool* pool() { return store_->pool(); }

  struct Stats {
    std::uint64_t files = 0, bytes = 0;  // copied
    std::uint64_t removed = 0;
  };

  // What lies in the directory and under the prefix alike (by name and size) is not this machine's work: it
  // is put only once it has changed here, and never removed.
  Status begin(const std::string& directory);

  // Brings the prefix up to date with the files in exactly these states: of those, what has changed since the
  // last call is put. What this object has put is removed when the file is not among them, if the object
  // still is what was put. A file that is in another state by now is left for a later call. An error: some is
  // done.
  Result<Stats> put(const std::string& directory, const std::vector<ScannedFile>& files,
                    std::stop_token stop);

  // All files under the prefix into the directory (created), over what is there. Keys that can be no file's
  // name are left out; data_loss and others as the store says.
  Result<Stats> fetch(const std::string& directory, std::stop_token stop);

 private:
  struct Placed {
    os::FileIdentity identity;  // of the file
    std::string etag;           // of the object
    bool ours = false;          // this object has put it
  };
  Status removeGone(const std::unordered_set<std::string>& present, Stats& stats);

  Status putFile(ObjectStore& store, const ScannedFile& file, int root, const std::stop_token& stop,
                 Stats& stats);

  const std::shared_ptr<ObjectStore> store_;
  std::mutex mutex_;                                // guards what follows, and the Stats of a call
  std::unordered_map<std::string, Placed> placed_;  // by path
};

}  // namespace buoy::objstore
