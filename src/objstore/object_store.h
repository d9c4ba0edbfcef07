#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "aws/settings.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "net/http.h"
#include "objstore/sha256.h"

namespace buoy::objstore {

class Throttle;
class TransferPool;

struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  Time modified{};
  std::string etag;  // changes when the content does; empty: the store has none
};

using OnPiece = std::function<Status(std::string_view)>;

// A large object in the making, of which nothing is visible before finish(). What is not finished is
// discarded. Threads: put from any; the store must outlive it.
class MultipartPut {
 public:
  virtual ~MultipartPut() = default;
  // Parts are numbered from 1 and stand in that order; all but the last have at least 5 MiB.
  virtual Status put(int number, const std::vector<net::BodyPiece>& content, std::stop_token stop) = 0;
  virtual Status finish() = 0;
};

// Objects named by their content, stored together so that one sync of a directory pays for all of them.
// Nothing is visible before finish(), and what is not finished is discarded with the batch. Not thread-safe;
// the store must outlive it.
class ObjectBatch {
 public:
  struct Added {
    std::string sha256;
    bool fresh = false;  // false: this content was there already, or is in the batch already
  };
  virtual ~ObjectBatch() = default;
  // Takes the content of an open regular file, from offset 0, under the key prefix + its SHA-256.
  // failed_precondition: the file changed while it was read. cancelled: `stop` was requested.
  virtual Result<Added> add(const std::string& prefix, int fd, std::uint64_t size, std::stop_token stop) = 0;
  // Takes back what add() answered `fresh` for.
  virtual void drop(const std::string& prefix, const Added& added) = 0;
  // Everything added, and every equal object that was there before, is durable when it returns. Call it once.
  virtual Status finish() = 0;
};

// Durable objects by key: '/'-separated UTF-8, no empty, "." or ".." component, at most 1,024 bytes (checked
// here, so that no key escapes its store). Threads: any, unless an implementation says otherwise. A put is
// all or nothing and durable when it returns; readers see the old object, the new one, or none.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual std::string uri() const = 0;
  virtual Status put(const std::string& key, std::string_view content) = 0;
  // already_exists: somebody was first; what is there is durable. After any other error the object may be
  // there.
  virtual Status putIfAbsent(const std::string& key, std::string_view content) = 0;
  // Content of an open regular file from offset 0. Copies by reflink or in the kernel where it can. If
  // `sha256` is given it receives the hex digest of what was stored. If the file changes meanwhile:
  // failed_precondition.
  virtual Status putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) = 0;
  // Content from memory and from ranges of open files, one after the other. The caller sees to it that the
  // files do not change. failed_precondition: a file is shorter than said.
  virtual Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                           std::stop_token stop) = 0;
  virtual Result<std::unique_ptr<MultipartPut>> beginMultipart(const std::string& key) = 0;
  // Only if the object still has this ETag: failed_precondition otherwise.
  virtual Status putIfMatch(const std::string& key, std::string_view content, const std::string& etag) = 0;
  virtual Status copy(const std::string& from, const std::string& to) = 0;  // not_found
  virtual Result<std::string> get(const std::string& key,
                                  std::uint64_t limit = 1ull << 30) = 0;  // not_found, resource_exhausted
  // Exactly these bytes, piece by piece. An error of `on_piece` ends it and is returned. invalid_argument:
  // the object is shorter.
  virtual Status getRange(const std::string& key, std::uint64_t offset, std::uint64_t size,
                          const OnPiece& on_piece, std::stop_token stop) = 0;
  // The same of this very object: failed_precondition if there is another by now. The default looks
  // afterwards and can tell only where the store has ETags.
  virtual Status getRangeOf(const ObjectInfo& object, std::uint64_t offset, std::uint64_t size,
                            const OnPiece& on_piece, std::stop_token stop);
  // Into a new or truncated file descriptor; verifies against `sha256` unless empty (data_loss).
  virtual Status getFile(const std::string& key, int fd, std::string_view sha256) = 0;
  virtual Result<ObjectInfo> head(const std::string& key) = 0;  // not_found
  // Keys that begin with `prefix`, in byte order, after `after`, at most `limit`.
  virtual Result<std::vector<ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                               int limit) = 0;
  // Missing is success. A power failure right after may bring the object back.
  virtual Status remove(const std::string& key) = 0;
  // Of many, in few requests where the store takes them so; ends at the first that cannot be removed.
  virtual Status removeMany(const std::vector<std::string>& keys, std::stop_token stop);
  // How far the clock by which `modified` of its objects goes is ahead of this machine's, as far as it is
  // known.
  virtual Duration clockAhead() const { return Duration{0}; }
  // Where it pays to have many operations at once: the threads for them. nullptr: the store is near.
  virtual TransferPool* pool() { return nullptr; }
  // The same store as long as `stop` is not requested: then every operation ends soon with `cancelled`, those
  // that are waiting for a server too. nullptr: its operations do not wait for anybody. Must not outlive the
  // store.
  virtual std::unique_ptr<ObjectStore> until([[maybe_unused]] std::stop_token stop) { return nullptr; }
  // Must not outlive the store. The default hashes the file first and then calls putFile.
  virtual std::unique_ptr<ObjectBatch> newBatch();
};

Status validateKey(std::string_view key);

struct StoreOptions {
  const Clock* clock = nullptr;                  // nullptr: the system's
  int max_threads = 16;                          // of transfers
  int nice = 0;                                  // of their threads
  std::shared_ptr<Throttle> throttle;            // of everything that shares it; nullptr: no limit
  Duration patience = std::chrono::seconds{30};  // for trouble of the server that may pass, in one operation
};
// "file:///absolute/dir" (taken as it stands, without %-escapes; created on first put), or
// "s3://bucket/prefix" with settings and credentials from `environment` as AWS's own tools find them (nothing
// is asked of the server yet). Other schemes: invalid_argument naming what is supported.
Result<std::unique_ptr<ObjectStore>> openStore(const std::string& uri, const aws::Environment& environment,
                                               const StoreOptions& options = {});
// With this process's environment.
Result<std::unique_ptr<ObjectStore>> openStore(const std::string& uri);

// Content-addressed blobs under "blobs/": the sources that jobs run. put is a no-op when the hash is there.
std::string blobKey(std::string_view sha256);

}  // namespace buoy::objstore
