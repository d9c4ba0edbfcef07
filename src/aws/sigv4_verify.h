#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aws/sigv4.h"
#include "base/result.h"

// The other side of Signature Version 4: what a server reads of a signed request, and whether it was signed
// by whoever has the secret. Pure; any thread.
namespace buoy::aws {

// "AWS4-HMAC-SHA256 Credential=KEY/20261121/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX".
struct Authorization {
  std::string access_key, date, region, service;
  std::vector<std::string> signed_headers;  // lower-case, in order, `host` among them
  std::string signature;                    // 64 lower-case hexadecimal digits
};
inline constexpr std::string_view kSigningAlgorithm = "AWS4-HMAC-SHA256";
// Is this how the header begins? Whether it can be read is for parseAuthorization.
bool isSigned(std::string_view authorization);
// invalid_argument with what is missing or wrong. Limits: 4 KiB, 100 signed headers.
Result<Authorization> parseAuthorization(std::string_view header);
// "20261121T012203Z". invalid_argument.
Result<Time> parseSigningTime(std::string_view stamp);

// `request`: `path` as it stands in the request line (still encoded), `query` decoded, all headers that came,
// and the SHA-256 of the body that came. unauthenticated: the signature is another, a signed header is
// missing, or the date of the scope is not that of `at`. Takes the same time wherever the signatures differ.
Status verifySignature(const Authorization& claim, const SignableRequest& request, Time at,
                       const std::string& secret_key);

}  // namespace buoy::aws
