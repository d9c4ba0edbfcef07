#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "aws/credentials.h"
#include "base/clock.h"
#include "base/result.h"

namespace buoy::aws {

// The process's environment, given so that tests can give another: AWS_*, HOME.
using Environment = std::map<std::string, std::string>;

enum class Addressing : std::uint8_t { automatic, path, virtual_host };
enum class PayloadSigning : std::uint8_t {
  automatic,  // signed over plain HTTP, unsigned over TLS
  always,
  never,
};
enum class ChecksumCalculation : std::uint8_t {
  automatic,  // where the server is AWS
  when_supported,
  when_required,
};

// What AWS's own tools would use: the environment first, then the profile of the shared files
// (https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html).
struct Settings {
  std::string profile;         // AWS_PROFILE, AWS_DEFAULT_PROFILE; else "default"
  bool profile_given = false;  // by the caller: keys in the environment are passed over then
  std::string region;          // AWS_REGION, AWS_DEFAULT_REGION, `region`; else "us-east-1"
  bool region_given = false;
  // AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, `services`' s3, `endpoint_url`; empty: AWS
  std::string s3_endpoint;
  std::string sts_endpoint;                       // the same for sts
  std::string ca_bundle;                          // AWS_CA_BUNDLE, `ca_bundle`; empty: the system's
  Addressing addressing = Addressing::automatic;  // s3 = addressing_style
  PayloadSigning payload_signing =
      PayloadSigning::automatic;  // BUOY_S3_PAYLOAD_SIGNING, s3 = payload_signing_enabled
  ChecksumCalculation checksums = ChecksumCalculation::automatic;  // request_checksum_calculation
  bool use_dualstack = false, use_fips = false;
};

// invalid_argument with file and line: a shared file is wrong, or the named profile is in none of them.
// `profile`: empty for AWS_PROFILE or "default".
Result<Settings> loadSettings(const Environment& environment, const std::string& profile = {});

// The default chain, in AWS's order: environment, the profile's role, web identity of the environment or the
// profile, keys in the credentials file, credential_process, keys in the config file, container
// (AWS_CONTAINER_CREDENTIALS_*), instance metadata (IMDSv2). The first that is set up is the one; nothing is
// asked before get(). Errors: invalid_argument and unauthenticated, where what is set up cannot work (half a
// pair of keys, a role whose source is missing or itself). `clock` must outlive it.
Result<std::shared_ptr<CredentialsProvider>> defaultCredentials(const Environment& environment,
                                                                const Settings& settings, const Clock& clock);
// For tests and for keys that come from elsewhere.
std::shared_ptr<CredentialsProvider> staticCredentials(Credentials credentials);

}  // namespace buoy::aws
