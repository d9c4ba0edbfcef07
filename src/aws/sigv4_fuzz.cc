#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "aws/sigv4_verify.h"

// What strangers send as Authorization and X-Amz-Date.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)buoy::aws::parseSigningTime(text);
  const auto claim = buoy::aws::parseAuthorization(text);
  if (!claim) return 0;
  if (claim->signed_headers.empty() || claim->signature.size() != 64) std::abort();
  const buoy::aws::SignableRequest request{
      "POST", "/v1/submitjob", {}, {{"host", "h"}}, std::string(buoy::aws::kEmptyPayload)};
  if (buoy::aws::verifySignature(*claim, request, buoy::Time{}, "secret")) std::abort();
  return 0;
}
