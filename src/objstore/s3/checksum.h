#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"

namespace buoy::objstore::s3 {

// CRC-32C (RFC 3720), continued from `crc` (0 at the beginning).
std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes);
// The same without the processor's instruction for it.
std::uint32_t crc32cByTable(std::uint32_t crc, std::string_view bytes);
// As S3's headers have it: base64 of the four bytes, highest first.
std::string crc32cBase64(std::uint32_t crc);
std::string base64(std::string_view bytes);
std::string md5Base64(std::string_view bytes);
std::string md5Hex(std::string_view bytes);

struct BodyDigests {
  std::string sha256;  // hex
  std::string crc32c;  // base64
};
// Of a whole body, each only if asked for, in one pass and constant memory. failed_precondition: a file is
// shorter than said. cancelled.
Result<BodyDigests> digestBody(const std::vector<net::BodyPiece>& body, bool sha256, bool crc,
                               std::stop_token stop);

}  // namespace buoy::objstore::s3
