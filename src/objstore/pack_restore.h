#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// A packed file that is wanted, and the name that its content gets.
struct WantedFile {
  const CheckpointFile* file = nullptr;
  std::string name;
};

// Fetches the files' content into `directory` (open, empty), many ranges at once, every slice's hash checked.
// Returns how many bytes were fetched. `objects`: what the store's keys begin with. data_loss: a pack is
// missing or damaged. Runs of zeros become holes.
Result<std::uint64_t> fetchPacked(ObjectStore& store, const std::string& objects,
                                  const std::vector<WantedFile>& files, int directory);

}  // namespace buoy::objstore
