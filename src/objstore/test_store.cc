#include "objstore/test_store.h"

#include <unistd.h>

#include <cstdlib>
#include <random>

namespace buoy::objstore::testing {

std::string testStoreUri(const std::string& kind, const std::string& directory) {
  if (kind == "file") return "file://" + directory;
  const char* place = std::getenv("BUOY_TEST_S3");
  if (place == nullptr) return "";
  std::random_device random;
  return std::string(place) + "/" + std::to_string(::getpid()) + "-" + std::to_string(random());
}

}  // namespace buoy::objstore::testing
