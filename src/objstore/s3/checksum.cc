#include "objstore/s3/checksum.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "objstore/sha256.h"

namespace buoy::objstore::s3 {
namespace {

constexpr std::size_t kReadSize = 256u << 10;
constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, reversed

std::array<std::uint32_t, 256> makeTable() {
  std::array<std::uint32_t, 256> table = {};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

std::uint32_t byTable(std::uint32_t crc, std::string_view bytes) {
  static const auto table = makeTable();
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t byInstruction(std::uint32_t crc, std::string_view bytes) {
  std::uint64_t wide = crc;
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    wide = __builtin_ia32_crc32di(wide, word);
    bytes.remove_prefix(sizeof word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (const char c : bytes) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(c));
  return crc;
}
#endif

std::array<unsigned char, 16> md5(std::string_view bytes) {
  std::array<unsigned char, 16> digest = {};
  unsigned size = 0;
  BUOY_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_md5(), nullptr) == 1 &&
             size == digest.size());
  return digest;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~byInstruction(~crc, bytes);
#endif
  return crc32cByTable(crc, bytes);
}

std::uint32_t crc32cByTable(std::uint32_t crc, std::string_view bytes) {
  return ~byTable(~crc, bytes);
}

std::string crc32cBase64(std::uint32_t crc) {
  const std::array<char, 4> bytes = {static_cast<char>(crc >> 24), static_cast<char>(crc >> 16),
                                     static_cast<char>(crc >> 8), static_cast<char>(crc)};
  return base64({bytes.data(), bytes.size()});
}

std::string md5Base64(std::string_view bytes) {
  const auto digest = md5(bytes);
  return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string md5Hex(std::string_view bytes) {
  return toHex(md5(bytes));
}

Result<BodyDigests> digestBody(const std::vector<net::BodyPiece>& body, bool sha256, bool crc,
                               std::stop_token stop) {
  Sha256 hash;
  std::uint32_t sum = 0;
  const auto take = [&](std::string_view piece) {
    if (sha256) hash.update(piece);
    if (crc) sum = crc32c(sum, piece);
  };
  std::vector<char> space;
  for (const net::BodyPiece& piece : body) {
    if (piece.fd < 0) {
      take(piece.memory);
      continue;
    }
    space.resize(kReadSize);
    for (std::uint64_t done = 0; done < piece.size;) {
      if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(space.size(), piece.size - done));
      const ssize_t count = ::pread(piece.fd, space.data(), wanted, static_cast<off_t>(piece.offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failErrno(errno, "read the file that is sent");
      if (count == 0)
        return fail(ErrorCode::failed_precondition, "the file became shorter while it was read");
      take({space.data(), static_cast<std::size_t>(count)});
      done += static_cast<std::uint64_t>(count);
    }
  }
  return BodyDigests{sha256 ? hash.hexDigest() : "", crc ? crc32cBase64(sum) : ""};
}

}  // namespace buoy::objstore::s3
