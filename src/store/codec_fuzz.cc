#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/codec.h"

namespace {

// Both ways of reading say the same: as it is written, and (white space forces that) by way of a document.
template <class T>
void check(const std::string& text, buoy::Result<T> (*decode)(std::string_view),
           std::string (*encode)(const T&)) {
  const auto decoded = decode(text),
             document = decode(text.empty() ? text : text.substr(0, 1) + " " + text.substr(1));
  BUOY_CHECK(decoded.has_value() == document.has_value());
  if (decoded) BUOY_CHECK(encode(*decoded) == encode(*document));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::store;
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text, decodeJob, encodeJob);
  check(text, decodeQueue, encodeQueue);
  return 0;
}
