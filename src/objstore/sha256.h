#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"

namespace buoy::objstore {

// SHA-256 in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::string_view piece);
  std::string hexDigest();  // ends it: call once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

struct HashedContent {
  std::string sha256;
  std::uint64_t size = 0;  // less than asked for if the file is shorter
};

// Hash of the first `size` bytes of an open file, in constant memory. cancelled: `stop` was requested.
Result<HashedContent> hashFile(int fd, std::uint64_t size, std::stop_token stop = {});

std::string sha256Hex(std::string_view content);
// Of `size` bytes of zero; remembered.
std::string zerosHash(std::uint64_t size);

// Hash of a part of an open file; of less if the file ends before.
Result<std::string> hashRange(int fd, std::uint64_t offset, std::uint64_t size);

// Exactly 64 lower-case hexadecimal digits.
bool isSha256(std::string_view text);

}  // namespace buoy::objstore
