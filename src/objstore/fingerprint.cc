#include "objstore/fingerprint.h"

#include <memory>
#include <random>

#include "objstore/sha256.h"
#include "os/copy.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace buoy::objstore {
namespace {

// Nobody who writes a checkpoint can know which contents would collide.
std::uint64_t seed() {
  static const std::uint64_t drawn = [] {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
  }();
  return drawn;
}

class Hasher {
 public:
  Hasher() : state_(XXH3_createState()) {
    BUOY_CHECK(state_ && XXH3_128bits_reset_withSeed(state_.get(), seed()) == XXH_OK);
  }
  void update(std::string_view piece) {
    BUOY_CHECK(XXH3_128bits_update(state_.get(), piece.data(), piece.size()) == XXH_OK);
  }
  Fingerprint digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.low64, hash.high64};
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace

Result<Fingerprint> fingerprintRange(int fd, std::uint64_t offset, std::uint64_t size) {
  Hasher hasher;
  BUOY_TRY_VOID(os::readRange(fd, offset, size, [&](std::string_view piece) {
    hasher.update(piece);
    return true;
  }));
  return hasher.digest();
}

Result<RangeDigest> digestRange(int fd, std::uint64_t offset, std::uint64_t size) {
  Hasher hasher;
  Sha256 hash;
  BUOY_TRY_VOID(os::readRange(fd, offset, size, [&](std::string_view piece) {
    hasher.update(piece);
    hash.update(piece);
    return true;
  }));
  return RangeDigest{hasher.digest(), hash.hexDigest()};
}

}  // namespace buoy::objstore
