#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// Another job's checkpoints, which may go on meanwhile: `use` gets its versions, the newest first, until one
// is used; what it answers with data_loss is damaged, and the one before it is next. `prefix` as of
// CheckpointRepository. not_found: there is no version. No fence is laid: the other job is not disturbed.
Status useNewestVersion(ObjectStore& store, const std::string& prefix,
                        const std::function<Status(Manifest& version)>& use);

struct NewestRestored {
  std::uint64_t version = 0, bytes = 0;  // bytes: fetched
};
// The same, into a directory, as restoreVersion() does it.
Result<NewestRestored> restoreNewestVersion(ObjectStore& store, const std::string& prefix,
                                            const std::string& directory);

}  // namespace buoy::objstore
