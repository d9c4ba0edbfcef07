#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objstore/transfer/tree_entry.h"

// What has to be done so that a destination becomes like its source. Pure: entries in, steps out.
namespace buoy::objstore {

enum class Direction : std::uint8_t { upload, download, copy };

struct SyncRules {
  Direction direction = Direction::upload;
  bool size_only = false;         // times do not matter
  bool exact_timestamps = false;  // of downloads: times must be equal
  bool remove_extra = false;      // --delete
};

// As `aws s3 sync` decides: another size, or a source that is newer than the destination. A download is the
// other way round: a destination that is newer is fetched again, as its time would be the source's otherwise.
bool mustTransfer(const SyncRules& rules, const TreeEntry& source, const TreeEntry& destination);

struct SyncStep {
  enum class Kind : std::uint8_t { transfer, same, remove, end } kind = Kind::end;
  TreeEntry entry;  // of the source; of the destination if it is to be removed
};

// Joins two streams, each held one entry at a time. Not thread-safe; the streams must outlive it.
class SyncPlan {
 public:
  // Without a destination everything is transferred.
  SyncPlan(const SyncRules& rules, TreeStream& source, TreeStream* destination);
  // internal: a stream is not in byte order, so that nothing may be concluded from what it lacks.
  Result<SyncStep> next();

 private:
  struct Side {
    TreeStream* stream = nullptr;
    const char* name = "";
    TreeEntry entry;
    std::string last;
    bool filled = false, ended = false, begun = false;
  };
  static Status fill(Side& side);
  static SyncStep take(Side& side, SyncStep::Kind kind);

  const SyncRules rules_;
  Side source_, destination_;
};

// Whether a key can be a file below a directory: invalid_argument says why not. `path` is relative to the
// directory; a folder marker (a key that ends in '/') is none.
Status checkFilePath(std::string_view path);

// Finds keys that are below another key, as "a/b" is below "a": a directory cannot hold both. Memory: the
// keys that begin one another.
class KeyNesting {
 public:
  // Keys in byte order. invalid_argument: a key given before would have to be a directory.
  Status add(std::string_view key);

 private:
  std::vector<std::string> open_;  // each begins with the one before it, and the last key with all
};

}  // namespace buoy::objstore
