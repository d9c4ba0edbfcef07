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

struct ScannedFile;  // objstore/snapshot.h

// Who stored an object: a part of its key. While the epoch is the newest, nobody else removes the object.
struct StoredBy {
  Epoch epoch = 0;
  std::uint32_t rank = 0;  // the member of the gang
  auto operator<=>(const StoredBy&) const = default;
};

// A piece of a file's content, inside a pack: an object that holds pieces of one or more files.
struct Slice {
  std::string sha256;
  std::uint64_t size = 0;
  StoredBy stored_by;
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
  // Where a file's content is: in an object of its own, whose key says who stored it, or in packs.
  StoredBy stored_by;
  bool packed = false;
  std::vector<Slice> slices;  // in order; none for an empty file
  std::uint32_t rank = 0;     // the member of the gang that it belongs to: who wrote it last
  std::string target;         // of a symlink: relative, stays inside the directory
};

// What of a rank is in a version of a gang: its part with this number (0: none of this epoch).
struct PartNumber {
  std::uint32_t rank = 0;
  std::uint64_t number = 0;
  bool operator==(const PartNumber&) const = default;
};

struct Manifest {
  std::uint64_t version = 0;  // the slot; of a part, its number
  Epoch epoch = 0;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;  // whose part it is; 0 for a version
  Time created{};
  std::vector<CheckpointFile> files;  // by path
  std::vector<PartNumber> parts;      // of a gang's version, by rank, without rank 0
  std::uint64_t begun_from = 0;       // of a part: the version that its rank restored; 0: none
};

struct CommitStats {
  std::uint64_t version = 0;                   // of a rank other than 0: the number of its part
  std::uint64_t files = 0, bytes = 0;          // in the version
  std::uint64_t new_files = 0, new_bytes = 0;  // actually copied
  Duration took{};
  std::vector<std::uint32_t> missed;  // ranks of which nothing newer is in it, though it was waited for
  Duration waited{};                  // of `took`, for other ranks
};

struct CheckpointOptions {
  const Clock* clock = nullptr;  // nullptr: the system's; must outlive the repository
  // How long retain() keeps what may still be wanted: the version that the current attempt began from (a slow
  // rank of a gang may be about to restore it) and this epoch's objects that no version names.
  Duration grace = std::chrono::hours{1};
  std::uint32_t rank = 0, ranks = 1;  // of the gang
  // How long rank 0 waits for a rank that was in the version before and has not begun to save again.
  Duration gang_patience = std::chrono::minutes{1};
};

// The job is ending: how rank 0 is to wait for other ranks from now on.
struct GangEnd {
  Duration patience = std::chrono::seconds{20};  // in one commit(), with a rank that is saving
  std::optional<Time> deadline;                  // nothing is waited for after it
  // Rather than commit what does not belong together, commit() fails with deadline_exceeded, and the last
  // version stands.
  bool whole_only = true;
};

// One job's checkpoints for one attempt, as one member of its gang sees them. Not thread-safe, except
// hurry(). The store must outlive it. An epoch has one repository for each rank. A version of a gang is the
// union of what its ranks have saved (merge_parts.h): commit() of another rank stores its part, commit() of
// rank 0 waits until the parts belong together and makes a version of them.
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

  // Of a gang, every rank but 0; on others these do nothing. beginPart: something is being written that will
  // be saved, so rank 0 should wait for it. endParts: no more will be saved.
  Status beginPart();
  Status endParts();
  // Of rank 0 of a gang: should it commit() though its own directory has not changed?
  Result<bool> othersAreAhead();
  // Of rank 0 of a gang, any thread, also while commit() waits.
  void hurry(const GangEnd& end);
  // Of every rank of a gang that has restored no version: what is in the directory is nobody's work, but what
  // all ranks found there.
  Status beginWith(const std::string& directory);
  // The files of the directory as they were saved last, each complete.
  const std::vector<ScannedFile>& savedState() const;

  // Keeps the newest `keep` (at least 1) commits, for a grace the version that this attempt began from, and
  // every object that they name; removes other commits and objects. Never removes what a manifest names, or
  // may be about to. Of another rank than 0: removes what it has stored and no version can need any more.
  // failed_precondition: fenced, nothing removed. cancelled: `stop` was requested. May be called again after
  // any failure.
  Status retain(int keep, std::stop_token stop = {});

  Result<std::vector<Manifest>> list();  // commits, oldest first

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace buoy::objstore
