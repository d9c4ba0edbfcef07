#include <cstdint>
#include <string_view>

#include "api/job_spec.h"
#include "api/views.h"
#include "base/result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto spec = parseJobJson(text)) {
    const auto again = parseJobJson(toJson(*spec));
    BUOY_CHECK(again && *again == *spec);
  }
  if (const auto request = parseSubmitRequest(text)) {
    const auto again = parseSubmitRequest(toJson(*request));
    BUOY_CHECK(again && again->spec == request->spec && again->request_id == request->request_id);
  }
  if (const auto manifest = parseSourceManifest(text)) {
    BUOY_CHECK(parseSourceManifest(toJson(*manifest)) == *manifest);
  }
  return 0;
}
