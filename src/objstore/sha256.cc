#include "objstore/sha256.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

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
