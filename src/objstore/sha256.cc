#include "objstore/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <vector>

#include "base/strings.h"
#include "os/copy.h"

namespace buoy::objstore {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  BUOY_CHECK(context_->evp != nullptr && EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view piece) {
  BUOY_CHECK(EVP_DigestUpdate(context_->evp, piece.data(), piece.size()) == 1);
}

std::string Sha256::hexDigest() {
  std::array<unsigned char, 32> digest{};
  BUOY_CHECK(EVP_DigestFinal_ex(context_->evp, digest.data(), nullptr) == 1);
  return toHex(digest);
}

Result<HashedContent> hashFile(int fd, std::uint64_t size, std::stop_token stop) {
  Sha256 hash;
  BUOY_TRY(const std::uint64_t read, os::readPieces(fd, size, [&](std::string_view piece) {
             hash.update(piece);
             return !stop.stop_requested();
           }));
  return HashedContent{hash.hexDigest(), read};
}

Result<std::string> hashRange(int fd, std::uint64_t offset, std::uint64_t size) {
  Sha256 hash;
  BUOY_TRY_VOID(os::readRange(fd, offset, size, [&](std::string_view piece) {
    hash.update(piece);
    return true;
  }));
  return hash.hexDigest();
}

std::string zerosHash(std::uint64_t size) {
  static std::mutex mutex;
  static std::map<std::uint64_t, std::string> known;
  const std::lock_guard lock(mutex);
  std::string& digest = known[size];
  if (digest.empty()) {
    const std::string zeros(static_cast<std::size_t>(std::min<std::uint64_t>(size, 1u << 20)), '\0');
    Sha256 hash;
    for (std::uint64_t left = size; left > 0;) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, zeros.size()));
      hash.update({zeros.data(), piece});
      left -= piece;
    }
    digest = hash.hexDigest();
  }
  return digest;
}

bool isSha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string sha256Hex(std::string_view content) {
  Sha256 hash;
  hash.update(content);
  return hash.hexDigest();
}

}  // namespace buoy::objstore
