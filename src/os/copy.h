#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"

// Content of files, moved fast and in constant memory. Threads: any, on different descriptors.
namespace buoy::os {

// Sees the content piece by piece, in order; false ends the operation (cancelled).
using PieceObserver = std::function<bool(std::string_view piece)>;

// Gives the empty file `to` the content of `from` by sharing its blocks: an instant copy that later writes to
// `from` do not reach. False: this file system cannot (nothing was written).
bool reflink(int from, int to);

// Shows `see` the first `size` bytes of `fd`, or fewer if the file is shorter. Returns how many there were.
Result<std::uint64_t> readPieces(int fd, std::uint64_t size, const PieceObserver& see);

// The same for `size` bytes from an offset on, in pieces that stay in a core's cache.
Result<std::uint64_t> readRange(int fd, std::uint64_t offset, std::uint64_t size, const PieceObserver& see);

// Copies the first `size` bytes of `from` (fewer if it is shorter) to the empty file `to`; returns how many.
// With `see` every byte passes through it; without, the kernel copies. Runs of zeros of a sparse source
// become holes. resource_exhausted: the disk is full. Nothing is synced.
Result<std::uint64_t> copyContent(int from, int to, std::uint64_t size, const PieceObserver& see = {});

// All of it at this offset. `what` begins the message of an error: "write model.pt".
Status writeAllAt(int fd, std::string_view content, std::uint64_t offset, std::string_view what);

// True only if it is certain that nobody has this file (open here for reading only) open or mapped for
// writing, and that a later writer, also through a mapping, must change its ctime. False where the file
// system cannot tell.
bool certainlyNotBeingWritten(int fd);

}  // namespace buoy::os
