#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "objstore/object_store.h"

// Committed versions of a job's checkpoint directory. The layout, and why a torn or a fenced commit cannot
// happen, is in docs/formats/checkpoint.md. In short: "log/<20 digits>" is an append-only sequence whose
// slots are claimed by putIfAbsent; a slot holds either a commit (the manifest) or a fence ("epoch E has
// begun"). An attempt first appends its fence and restores the newest commit before it. A commit goes into
// the next free slot; whoever loses the slot reads it, and if it is a fence of a later epoch, the attempt is
// fenced: it stops.
namespace buoy::objstore {

// A piece of a file's content, inside a pack: an object that holds pieces of one or more files.
struct Slice {
  std::string sha256;
  std::uint64_t size = 0;
  Epoch stored_by = 0;       // a part of the pack's key
  std::string pack;          // its name, 64 hexadecimal digits
  std::uint64_t offset = 0;  // in the pack
  bool operator==(const Slice&) const = default;
};

struct CheckpointFile {
  std::string path;  // relative, '/'-separated, no "..", not absolute
  enum class Kind : std::uint8_t { file, directory, symlink } kind = Kind::file;
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  Time modified{};
  std::string sha256;  // of a file; of one with more than one slice: of the slices' hashes, see sliceHash()
  // Where a file's content is: in an object of its own, whose key has the epoch that stored it, or in packs.
  Epoch stored_by = 0;
  bool packed = false;
  std::vector<Slice> slices;  // in order; none for an empty file
  std::uint32_t rank = 0;     // the member of the gang that wrote it last
  std::string target;         // of a symlink: relative, stays inside the directory
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
  std::uint64_t files = 0, bytes = 0;          // in the version
  std::uint64_t new_files = 0, new_bytes = 0;  // actually copied
  Duration took{};
};

struct CheckpointOptions {
  const Clock* clock = nullptr;  // nullptr: the system's; must outlive the repository
  // How long retain() keeps what may still be wanted: the version that the current attempt began from (a slow
  // rank of a gang may be about to restore it) and this epoch's objects that no version names.
  Duration grace = std::chrono::hours{1};
};

// One job's checkpoints for one attempt. Not thread-safe. The store must outlive it. An epoch has one writer:
// several processes may open() and restore() with the same epoch, but only one of them (rank 0) may commit()
// and retain().
class CheckpointRepository {
 public:
  // `prefix`: where the checkpoints lie in the store, such as "main/j42/checkpoints". `epoch` is at least 1.
  CheckpointRepository(ObjectStore& store, std::string prefix, Epoch epoch, std::uint32_t attempt,
                       CheckpointOptions options = {});

  // Claims the fence of this epoch (idempotent: every rank of a gang, and a restarted agent, may call it) and
  // returns the newest commit before it, if any. failed_precondition if a later epoch has begun.
  Result<std::optional<Manifest>> open();

  // Puts the version into `directory` (created; what is there and not in the version is removed), every hash
  // checked. Files already there with the right content are left. Without any version the directory is
  // created and what is in it is left alone. Content, names, symbolic links, permission bits (0777) and
  // modification times come back; owner, hard links, set-id bits and extended attributes do not. Calls open()
  // if it was not. If an object is missing or wrong, falls back to the commit before it and says so in
  // `fallbacks`; data_loss only when versions exist and none can be restored.
  struct Restored {
    std::optional<Manifest> manifest;
    std::vector<std::string> fallbacks;
    std::uint64_t bytes = 0;
  };
  Result<Restored> restore(const std::string& directory);

  // Commits the directory as it is now. `skip` are relative paths that are being written: their last
  // committed content is kept if there is one, else they are left out. A file that changes while it is read
  // is read again; if it does not hold still: unavailable, retryable, nothing committed. A symbolic link that
  // leaves the directory, a socket, a device: invalid_argument naming it, nothing committed. Nothing changed
  // since the last commit: returns that version with new_files = 0 (version 0 if there is none and the
  // directory is empty). failed_precondition: fenced, for good. Calls open() if it was not. Unchanged means:
  // same content, names, links and mode bits. Content is read again unless it certainly did not change since
  // it was last read (see docs/formats/checkpoint.md).
  Result<CommitStats> commit(const std::string& directory, const std::vector<std::string>& skip,
                             std::stop_token stop);

  // Keeps the newest `keep` (at least 1) commits, for a grace the version that this attempt began from, and
  // every object that they name; removes other commits and objects. Never removes what a manifest names, or
  // may be about to. failed_precondition: fenced, nothing removed. May be called again after any failure.
  Status retain(int keep);

  Result<std::vector<Manifest>> list();  // commits, oldest first

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace buoy::objstore
