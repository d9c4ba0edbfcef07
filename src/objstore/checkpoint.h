#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "objstore/object_store.h"

// Committed versions of a job's checkpoint directory. The layout, and why a torn or a fenced commit cannot happen, is
// in docs/formats/checkpoint.md. In short: "log/<20 digits>" is an append-only sequence whose slots are claimed by
// putIfAbsent; a slot holds either a commit (the manifest) or a fence ("epoch E has begun"). An attempt first appends
// its fence and restores the newest commit before it. A commit goes into the next free slot; whoever loses the slot
// reads it, and if it is a fence of a later epoch, the attempt is fenced: it stops.
namespace buoy::objstore {

struct CheckpointFile {
  std::string path;          // relative, '/'-separated, no "..", not absolute
  enum class Kind : std::uint8_t { file, directory, symlink } kind = Kind::file;
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  Time modified{};
  std::string sha256;        // of a file
  std::string target;        // of a symlink: relative, stays inside the directory
};

struct Manifest {
  std::uint64_t version = 0;  // the slot
  Epoch epoch = 0;
  std::uint32_t attempt = 0;
  Time created{};
  std::vector<CheckpointFile> files;  // by path
};

struct CommitStats {
  std::uint64_t version = 0;
  std::uint64_t files = 0, bytes = 0;            // in the version
  std::uint64_t new_files = 0, new_bytes = 0;    // actually copied
  Duration took{};
};

// One job's checkpoints for one attempt. Not thread-safe.
class CheckpointRepository {
 public:
  CheckpointRepository(ObjectStore& store, std::string prefix, Epoch epoch, std::uint32_t attempt);

  // Claims the fence of this epoch (idempotent: every rank of a gang, and a restarted agent, may call it) and returns
  // the newest commit before it, if any. failed_precondition if a later epoch has begun.
  Result<std::optional<Manifest>> open();

  // Puts the version into `directory` (created; what is there and not in the version is removed), every hash checked.
  // Files already there with the right content are left. If an object is missing or wrong, falls back to the commit
  // before it and says so in `fallbacks`; data_loss only when versions exist and none can be restored.
  struct Restored { std::optional<Manifest> manifest; std::vector<std::string> fallbacks; std::uint64_t bytes = 0; };
  Result<Restored> restore(const std::string& directory);

  // Commits the directory as it is now. `skip` are relative paths that are being written: their last committed
  // content is kept if there is one, else they are left out. A file that changes while it is read is read again;
  // if it does not hold still: unavailable, retryable, nothing committed. A symbolic link that leaves the directory,
  // a socket, a device: invalid_argument naming it, nothing committed. Nothing changed since the last commit:
  // returns that version with new_files = 0. failed_precondition: fenced.
  Result<CommitStats> commit(const std::string& directory, const std::vector<std::string>& skip, std::stop_token stop);

  // Keeps the newest `keep` commits and every object that they name; removes other commits and unreferenced objects
  // of older epochs or older than a grace. Never removes what a manifest names, or may be about to.
  Status retain(int keep);

  Result<std::vector<Manifest>> list();  // commits, oldest first

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace buoy::objstore
