#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "os/fd.h"
#include "os/file_state.h"

namespace buoy::objstore {

// The name that restore writes under before it gives a file its own; never a part of a checkpoint.
inline constexpr std::string_view kRestoreTemporary = ".buoy-restore.tmp";
// The same, a directory for many at once.
inline constexpr std::string_view kRestoreDirectory = ".buoy-restore.tmp.d";

using os::FileIdentity;

struct ScannedFile {
  CheckpointFile file;    // without hash
  FileIdentity identity;  // of a regular file
  bool skipped = false;   // being written: its state says nothing
};

struct Snapshot {
  os::Fd root;
  std::vector<ScannedFile> files;     // by path
  std::int64_t latest_change_ns = 0;  // newest ctime of the files that are not skipped

  // The same names, in the same state (whatever the state of skipped files).
  bool sameState(const Snapshot& other) const;
};

// Looks at everything in the directory, without reading content or following links. What vanishes meanwhile
// is left out. invalid_argument naming it: a link that leaves the directory, a name that is not UTF-8, or
// something that is neither file, directory nor link. not_found: no such directory.
Result<Snapshot> scanDirectory(const std::string& directory, const std::set<std::string>& skip);

}  // namespace buoy::objstore
