#include "objstore/s3/multipart_result.h"

#include <openssl/evp.h>

#include <array>
#include <charconv>
#include <optional>

#include "base/strings.h"
#include "objstore/s3/checksum.h"
#include "objstore/s3/verdict.h"

namespace buoy::objstore::s3 {
namespace {

constexpr std::size_t kMd5 = 16;

std::optional<std::string> md5In(std::string_view hex) {
  if (hex.size() != 2 * kMd5) return std::nullopt;
  std::string bytes(kMd5, '\0');
  for (std::size_t i = 0; i < kMd5; ++i) {
    unsigned char byte = 0;
    const char* const end = hex.data() + 2 * i + 2;
    if (std::from_chars(hex.data() + 2 * i, end, byte, 16).ptr != end) return std::nullopt;
    bytes[i] = static_cast<char>(byte);
  }
  return bytes;
}

std::optional<std::string> crc32cIn(const std::string& base64) {
  std::array<unsigned char, 6> bytes = {};
  if (base64.size() != 8 || !base64.ends_with("==") ||
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(base64.data()), 8) != 6)
    return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()), 4);
}

std::string counted(const std::string& sum, const std::vector<Part>& parts) {
  return strCat({sum, "-", std::to_string(parts.size())});
}

}  // namespace

std::string etagOfParts(const std::vector<Part>& parts) {
  std::string sums;
  for (const Part& part : parts) {
    const auto sum = md5In(bareEtag(part.etag));
    if (!sum) return "";
    sums += *sum;
  }
  return counted(md5Hex(sums), parts);
}

std::string crc32cOfParts(const std::vector<Part>& parts) {
  std::string sums;
  for (const Part& part : parts) {
    const auto sum = crc32cIn(part.crc32c);
    if (!sum) return "";
    sums += *sum;
  }
  return counted(crc32cBase64(crc32c(0, sums)), parts);
}

bool isMadeOf(const Object& object, const std::string& crc32c, const std::vector<Part>& parts) {
  if (parts.empty()) return false;
  std::uint64_t size = 0;
  for (const Part& part : parts) size += part.size;
  if (size != object.size) return false;
  const std::string etag = etagOfParts(parts);
  const std::string crc = crc32cOfParts(parts);
  return (!etag.empty() && bareEtag(object.etag) == etag) || (!crc.empty() && crc32c == crc);
}

}  // namespace buoy::objstore::s3
