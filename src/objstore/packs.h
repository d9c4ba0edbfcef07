#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/fingerprint.h"
#include "objstore/object_store.h"
#include "objstore/snapshot.h"
#include "objstore/transfer/pool.h"
#include "os/fd.h"

namespace buoy::objstore {

// Where slices of a known hash lie.
using SliceIndex = std::unordered_map<std::string, Slice>;

// Puts the content of files into a store that is far away. Files are cut into slices and hashed on the pool;
// slices that the store has are not sent; the others are collected into packs of some MiB, which go out side
// by side, straight from the files. So few requests are made whatever the sizes of the files, all connections
// are busy, and memory stays constant. One thread calls; the work is done on the pool.
class PackWriter {
 public:
  // Packs go under `objects` + packKey(self, …). `known`: slices that may be named. All outlive the writer.
  PackWriter(ObjectStore& store, std::string objects, const StoredBy& self, SliceIndex& known,
             std::stop_token stop);
  ~PackWriter();  // stops what is under way, and waits
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  struct Content {
    // The file was not in its state any more when it had been read: nothing of it counts.
    bool changed = false;
    std::vector<Slice> slices;
    std::vector<Fingerprint> fingerprints;  // of the slices; empty for a small file
  };

  // Begins with an open file whose state was `identity`. Blocks while much is under way. Its number in this
  // writer. `before`: what this process has read of the file last, or null; it must outlive the writer.
  Result<std::size_t> add(os::Fd file, const FileIdentity& identity, const Content* before = nullptr);
  // All is in the store. An error: some may be. What was sent is added to `known`.
  Status finish();

  // After finish().
  const Content& content(std::size_t number) const { return *contents_[number]; }
  std::uint64_t sentBytes() const { return sent_bytes_; }

 private:
  struct Source;
  struct Pack;

  Status readSmall(os::Fd file, const FileIdentity& identity, const std::shared_ptr<Content>& entry);
  void readLarge(os::Fd file, const FileIdentity& identity, const std::shared_ptr<Content>& entry,
                 const Content* before);
  Result<bool> hasNotChanged(const Source& source, std::size_t index) const;
  Status hashRange(const std::shared_ptr<Source>& source, std::size_t first, std::size_t count);
  void place(const std::shared_ptr<Content>& entry, std::size_t index, const std::shared_ptr<Source>& source,
             std::string_view memory);
  void seal(std::shared_ptr<Pack>& pack);  // under mutex_
  Status send(Pack& pack);
  void waitForRoom();
  void learnSent();  // what is in the store for certain; after all tasks

  ObjectStore& store_;
  const std::string objects_;
  const StoredBy self_;
  SliceIndex& known_;
  std::vector<std::shared_ptr<Content>> contents_;
  std::atomic<std::uint64_t> sent_bytes_{0};

  std::mutex mutex_;  // guards what follows
  std::condition_variable room_;
  std::shared_ptr<Pack> from_files_, from_memory_;  // being filled
  std::vector<std::shared_ptr<Pack>> sealed_;       // of this writer
  std::unordered_map<std::string, std::pair<std::shared_ptr<Pack>, std::uint64_t>>
      placed_;  // by slice's hash
  int open_files_ = 0;
  int packs_in_memory_ = 0;

  TaskGroup tasks_;  // last: its tasks use the others
};

}  // namespace buoy::objstore
