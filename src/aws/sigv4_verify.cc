#include "aws/sigv4_verify.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <chrono>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::aws {
namespace {

constexpr std::size_t kLongestHeader = 4096;
constexpr std::size_t kMostSignedHeaders = 100;

bool isHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::invalid_argument, strCat({"Authorization header: ", what}));
}

bool equalsIgnoringCase(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x) == y; });
}

Status readCredential(std::string_view value, Authorization& read) {
  const auto parts = split(value, '/');
  if (parts.size() != 5 || parts[4] != "aws4_request" ||
      std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); })) {
    return malformed("Credential must be KEY/DATE/REGION/SERVICE/aws4_request");
  }
  read.access_key = parts[0];
  read.date = parts[1];
  read.region = parts[2];
  read.service = parts[3];
  return {};
}

Status readSignedHeaders(std::string_view value, Authorization& read) {
  for (const std::string_view name : split(value, ';')) {
    if (name.empty() || read.signed_headers.size() == kMostSignedHeaders)
      return malformed("SignedHeaders must be 1 to 100 names");
    read.signed_headers.emplace_back(name);
  }
  if (std::find(read.signed_headers.begin(), read.signed_headers.end(), "host") == read.signed_headers.end())
    return malformed("'host' must be signed");
  return {};
}

}  // namespace

bool isSigned(std::string_view authorization) {
  return authorization.starts_with(kSigningAlgorithm);
}

Result<Authorization> parseAuthorization(std::string_view header) {
  if (header.size() > kLongestHeader) return malformed("is longer than 4 KiB");
  if (!isSigned(header)) return malformed("must begin with AWS4-HMAC-SHA256");
  header.remove_prefix(kSigningAlgorithm.size());
  Authorization read;
  for (const std::string_view part : split(header, ',')) {
    const std::string_view field = trim(part);
    const auto equals = field.find('=');
    if (equals == std::string_view::npos) return malformed("its parts must be NAME=VALUE");
    const std::string_view name = field.substr(0, equals);
    const std::string_view value = field.substr(equals + 1);
    if (name == "Credential" && read.access_key.empty()) {
      BUOY_TRY_VOID(readCredential(value, read));
    } else if (name == "SignedHeaders" && read.signed_headers.empty()) {
      BUOY_TRY_VOID(readSignedHeaders(value, read));
    } else if (name == "Signature" && read.signature.empty()) {
      if (value.size() != 64 || !isHex(value)) return malformed("Signature must be 64 hexadecimal digits");
      read.signature = value;
    } else {
      return malformed("must have Credential, SignedHeaders and Signature, each once");
    }
  }
  if (read.access_key.empty() || read.signed_headers.empty() || read.signature.empty())
    return malformed("must have Credential, SignedHeaders and Signature");
  return read;
}

Result<Time> parseSigningTime(std::string_view stamp) {
  const auto bad = [] {
    return fail(ErrorCode::invalid_argument, "X-Amz-Date must be like 20261121T012203Z");
  };
  if (stamp.size() != 16 || stamp[8] != 'T' || stamp[15] != 'Z') return bad();
  const auto number = [&](std::size_t at, std::size_t size) {
    const std::string_view digits = stamp.substr(at, size);
    const bool plain = std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    return plain ? parseNumber<int>(digits).value_or(-1) : -1;
  };
  const int year = number(0, 4), month = number(4, 2), day = number(6, 2);
  const int hour = number(9, 2), minute = number(11, 2), second = number(13, 2);
  if (month < 1 || day < 1 || year < 1970) return bad();
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  const bool clock = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
  if (!date.ok() || !clock) return bad();
  return Time{std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{hour} +
              std::chrono::minutes{minute} + std::chrono::seconds{second}};
}

Status verifySignature(const Authorization& claim, const SignableRequest& request, Time at,
                       const std::string& secret_key) {
  // S3 alone signs the path as it is sent; elsewhere what was encoded is encoded once more.
  Signer signer({.region = claim.region, .service = claim.service, .encode_path_twice = false});
  SignableRequest covered = request;
  covered.headers.clear();
  for (const std::string& name : claim.signed_headers) {
    bool found = false;
    for (const auto& [header, value] : request.headers) {
      if (!equalsIgnoringCase(header, name)) continue;
      covered.headers.emplace_back(name, value);
      found = true;
    }
    if (!found)
      return fail(ErrorCode::unauthenticated, strCat({"the signed header '", name, "' is missing"}));
  }
  const std::string expected = signer.signature(covered, secret_key, at);
  if (!signer.stringToSign(covered, at).starts_with(strCat({kSigningAlgorithm, "\n", claim.date, "T"})))
    return fail(ErrorCode::unauthenticated, "the date of the credential is not that of the request");
  if (expected.size() == claim.signature.size() &&
      CRYPTO_memcmp(expected.data(), claim.signature.data(), expected.size()) == 0)
    return {};
  return fail(ErrorCode::unauthenticated,
              "The request signature we calculated does not match the signature you provided. Check your "
              "secret access key and signing method.");
}

}  // namespace buoy::aws
