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

// A path that may stand in a manifest: relative, UTF-8, no empty, "." or ".." component, at most 4,095 bytes.
// The message names it, escaped.
Status validatePath(std::string_view path);

// A link at `path` may stand in a manifest if it cannot lead out of the directory: its target is relative,
// ".." stands only at its beginning, and not more often than the link is deep. (Later ".." could climb from
// wherever another link leads.)
Status validateLink(std::string_view path, std::string_view target);

// Printable: other bytes as \xNN.
std::string escaped(std::string_view text);

// Below the checkpoints' prefix.
std::string slotKey(std::uint64_t slot);
// "00000000000000000003", or with a rank other than 0 "00000000000000000003.2".
std::string storedByText(const StoredBy& stored_by);
std::string objectKey(const StoredBy& stored_by, std::string_view sha256);
std::string objectPrefix(const StoredBy& stored_by);
std::string packKey(const StoredBy& stored_by, std::string_view pack);
// The key, below the checkpoints' prefix, of every object that the file's content lies in; no two in a row
// are equal.
std::vector<std::string> contentKeys(const CheckpointFile& file);

// How large the slices of a file of this size are: the last one may be smaller. A power of two, so that equal
// files are cut alike: 512 KiB, and so much that there are at most 8,192.
std::uint64_t sliceSize(std::uint64_t file_size);
// The `sha256` of a file with these slices: that of the only slice, or of the hexadecimal hashes of all, one
// after the other.
std::string sliceHash(const std::vector<Slice>& slices);
// 20 digits, so that byte order is the order of numbers.
std::string fixedWidth(std::uint64_t number);

}  // namespace buoy::objstore
