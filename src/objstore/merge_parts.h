#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "objstore/checkpoint.h"

namespace buoy::objstore {

// The same content, name, link and mode bits.
bool sameContent(const CheckpointFile& a, const CheckpointFile& b);

// What each rank of a gang has saved, as one version: the union of their directories.
// - A file that ranks have written since `base` (the version that all of them began from) is in it as the
//   lowest of them has it.
// - Any other file of `base` belongs to the rank that wrote it last, and is in it as long as that rank keeps
//   it. (Another rank has it only because restoring gave it to everyone.)
// A rank without a part has changed nothing: its files are as rank 0 holds them, or else as they are in
// `previous`, the newest version, whose content certainly is still there; if they are in neither, they are
// left out. Every file of the result has its rank.
std::vector<CheckpointFile> mergeParts(const std::vector<CheckpointFile>& base,
                                       const std::vector<CheckpointFile>& previous,
                                       const std::map<std::uint32_t, std::vector<CheckpointFile>>& parts);

}  // namespace buoy::objstore
