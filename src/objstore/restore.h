#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// Makes `directory` equal to the version, as CheckpointRepository::restore says; returns how many bytes were
// fetched. `objects`: what the store's keys begin with, "" or ending with '/'. data_loss: an object is
// missing or damaged; if it is missing nothing was changed, else the directory is a mixture and another
// version must be restored over it.
Result<std::uint64_t> restoreVersion(ObjectStore& store, const std::string& objects, const Manifest& manifest,
                                     const std::string& directory);

}  // namespace buoy::objstore
