#include <cstdint>
#include <string_view>

#include "api/job_spec.h"
#include "base/result.h"

// No text makes the parser throw or hang; what it takes, it takes again as canonical JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto spec = parseJobYaml(text, "buoy.yaml", "fuzz");
  if (!spec) {
    BUOY_CHECK(!spec.error().empty());
    for (const Problem& problem : spec.error()) BUOY_CHECK(!problem.toString().empty());
    return 0;
  }
  const auto again = parseJobJson(toJson(*spec));
  BUOY_CHECK(again && *again == *spec);
  return 0;
}
