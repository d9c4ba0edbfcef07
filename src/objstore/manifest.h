#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"

// The content of a slot of the checkpoint log, as docs/formats/checkpoint.md describes it: one line of JSON,
// then one line with the SHA-256 of the first, so that a torn or a changed slot is recognised.
namespace buoy::objstore {

struct Slot {
  enum class Kind : std::uint8_t {
    commit,
    fence,
    removed,  // was a commit; keeps the number taken
    part,     // not in the log: what one rank of a gang has saved
  };
  Kind kind = Kind::fence;
  Manifest manifest;  // `files` only of a commit and a part
};

std::string encodeSlot(const Slot& slot);

// Everything is checked, as the content may come from anywhere: after success the paths are relative, clean,
// in byte order and unique, every parent is a directory of the manifest, and links stay inside. data_loss:
// torn or changed; failed_precondition: a newer format; invalid_argument: whole, but not something that Buoy
// wrote.
Result<Slot> decodeSlot(std::string_view content);

// How large the slices of a file of this size are: the last one may be smaller. A power of two, so that equal
// files are cut alike: 512 KiB, and so much that there are at most 8,192.
std::uint64_t sliceSize(std::uint64_t file_size);
// The `sha256` of a file with these slices: that of the only slice, or of the hexadecimal hashes of all, one
// after the other.
std::string sliceHash(const std::vector<Slice>& slices);

}  // namespace buoy::objstore
