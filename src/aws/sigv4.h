#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/units.h"

// Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html). Pure; any
// thread.
namespace buoy::aws {

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
// SHA-256 of nothing.
inline constexpr std::string_view kEmptyPayload =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

using NameValues = std::vector<std::pair<std::string, std::string>>;

// What is signed. `path` and `query` are as the server decodes them: they are encoded here.
struct SignableRequest {
  std::string method;
  std::string path;  // "/bucket/key with spaces"
  NameValues query;  // any order
  // All headers that are to be signed, `host` among them; x-amz-date, x-amz-content-sha256 and
  // x-amz-security-token are added by sign().
  NameValues headers;
  std::string payload_sha256;  // hex, or kUnsignedPayload
};

struct SigningScope {
  std::string region;
  std::string service;                 // "s3", "ec2", "sts"
  bool encode_path_twice = true;       // every service but S3
  bool normalize_path = true;          // every service but S3: "." and ".." and "//" are resolved
  bool content_sha256_header = false;  // S3 wants x-amz-content-sha256
  // AWS's test vectors leave the session token out of the signature for services that add it afterwards.
  bool sign_session_token = true;
};

// Keeps the derived key of the last day, so that one signature costs a few hashes. Not thread-safe.
class Signer {
 public:
  explicit Signer(SigningScope scope) : scope_(std::move(scope)) {}
  const SigningScope& scope() const { return scope_; }

  // The headers to send: those given, those that signing adds, and Authorization.
  NameValues sign(const SignableRequest& request, const Credentials& credentials, Time now);

  // The query to send so that whoever has the URL may make this request until `now` + `valid` (at most 7
  // days).
  NameValues presign(const SignableRequest& request, const Credentials& credentials, Time now,
                     Duration valid);

  // The two texts that the standard names; for tests and for telling why a server disagrees.
  std::string canonicalRequest(const SignableRequest& request) const;
  std::string stringToSign(const SignableRequest& request, Time now) const;
  // The signature alone, over exactly these headers; hex.
  std::string signature(const SignableRequest& request, const std::string& secret_key, Time now);

 private:
  struct DerivedKey {
    std::string date, secret_key, key;
  };
  const std::string& derivedKey(const std::string& date, const std::string& secret_key);
  std::string signatureOf(const std::string& canonical, const std::string& secret_key, Time now);

  SigningScope scope_;
  std::optional<DerivedKey> derived_;
};

SigningScope s3Scope(std::string region);

std::string sha256Hex(std::string_view text);

// RFC 3986: everything but letters, digits, "-._~" as %XX; slashes are kept if told.
std::string uriEncode(std::string_view text, bool keep_slashes);
// "k=v&k2=v2" in canonical order, as it must be sent.
std::string canonicalQuery(const NameValues& query);

}  // namespace buoy::aws
