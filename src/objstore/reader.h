#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/object_store.h"
#include "objstore/packs.h"
#include "objstore/snapshot.h"

namespace buoy::objstore {

// What a directory held at one instant, with all content in the store or in a batch for it.
struct ReadVersion {
  std::vector<CheckpointFile> files;           // by path
  std::uint64_t new_files = 0, new_bytes = 0;  // not in the store before
  Snapshot state;                              // of that instant
};

// Reads a checkpoint directory into the store, and remembers between two times what need not be read again.
// Not thread-safe.
class DirectoryReader {
 public:
  // Objects go under `objects` + objectPrefix(self).
  DirectoryReader(ObjectStore& store, std::string objects, const StoredBy& self);

  // `last`: what the directory was last brought to or read as. `live`: files whose objects are known to be
  // whole and that nobody removes, so new versions may name them.
  void setLast(std::vector<CheckpointFile> last, const std::vector<CheckpointFile>& live);
  // Files that are other ranks': a copy that has not changed is not stored again but said to be this.
  void setForeign(const std::vector<CheckpointFile>& files);

  // What is in the directory, with its hashes and no content stored.
  Result<std::vector<CheckpointFile>> describe(const std::string& directory) const;

  // Errors as CheckpointRepository::commit says. `batch` is finished by the caller. If the store is far away
  // (it has a pool), `batch` is not used: all content is in the store, in packs, when this returns.
  Result<ReadVersion> read(const std::string& directory, const std::vector<std::string>& skip,
                           ObjectBatch& batch, std::stop_token stop);

 private:
  struct Known {
    FileIdentity identity;
    std::string sha256;
    std::uint64_t serial = 0;  // the read() that learned it
    bool certain = false;      // equal identity means equal content also in a later read()
  };
  struct Round;

  Result<std::optional<std::vector<CheckpointFile>>> readOnce(Round& round, const Snapshot& snapshot);
  Result<std::optional<Snapshot>> settledSnapshot(const Round& round, const std::string& directory) const;
  Result<bool> takeInto(PackWriter& packs, const Snapshot& snapshot, const ScannedFile& scanned,
                        CheckpointFile& file, std::optional<std::size_t>& number,
                        const std::stop_token& stop);
  Result<std::optional<std::vector<CheckpointFile>>> packOnce(Round& round, const Snapshot& snapshot);
  void learnSlices(const std::vector<CheckpointFile>& files);
  Result<std::optional<CheckpointFile>> readFile(Round& round, const Snapshot& snapshot,
                                                 const ScannedFile& scanned);
  std::optional<CheckpointFile> lastOf(const std::string& path) const;
  bool isLive(const CheckpointFile& file) const;
  const CheckpointFile* foreignOf(const std::string& path) const;
  const CheckpointFile* foreignCopy(const ScannedFile& scanned) const;
  Result<const CheckpointFile*> readForeign(const ScannedFile& scanned, int fd, const std::stop_token& stop);
  std::optional<CheckpointFile> stored(const Round& round, const CheckpointFile& file,
                                       const std::string& sha256) const;
  void remember(const ScannedFile& scanned, int fd, std::int64_t began_ns, const std::string& sha256);

  ObjectStore& store_;
  std::string objects_;
  StoredBy self_;
  std::uint64_t serial_ = 0;
  std::unordered_map<std::string, Known> known_;               // by path
  std::unordered_map<std::string, PackWriter::Content> read_;  // by path; large files, as they were read last
  std::unordered_map<std::string, CheckpointFile> last_;       // by path; files only
  std::unordered_map<std::string, CheckpointFile> foreign_;    // the same
  std::unordered_map<std::string, StoredBy> live_;             // hash to who stored it
  SliceIndex slices_;                                          // of packs that new versions may name
};

}  // namespace buoy::objstore
