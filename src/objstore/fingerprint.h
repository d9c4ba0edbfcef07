#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace buoy::objstore {

// 128 bits of XXH3 (xxhash.com) under a seed that this process drew: tells whether content is what it was
// when this process read it last, at many times the speed of SHA-256. Never stored, never compared between
// processes.
using Fingerprint = std::array<std::uint64_t, 2>;

// Of a part of an open file; of less if the file ends before. Threads: any.
Result<Fingerprint> fingerprintRange(int fd, std::uint64_t offset, std::uint64_t size);

struct RangeDigest {
  Fingerprint fingerprint{};
  std::string sha256;
};
// Both, reading once.
Result<RangeDigest> digestRange(int fd, std::uint64_t offset, std::uint64_t size);

}  // namespace buoy::objstore
