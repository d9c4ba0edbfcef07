#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/refresh.h"
#include "aws/settings.h"
#include "base/clock.h"

namespace buoy::aws {

struct StsOptions {
  std::string url;  // see stsUrl
  std::string region;
  std::string ca_bundle;
};
// The configured endpoint, else the region's own.
std::string stsUrl(const Settings& settings);

struct RoleRequest {
  std::string role_arn;
  std::string session_name;  // empty: "buoy-" and the time
  std::string external_id;   // AssumeRole only
  int duration_seconds = 0;  // zero: the role's default
};

// Credentials of a role, for whoever has those of `source`. `clock` must outlive it.
std::unique_ptr<CredentialsSource> assumeRole(StsOptions options, RoleRequest role,
                                              std::shared_ptr<CredentialsProvider> source,
                                              const Clock& clock);
// For whoever has the token in `token_file`, which is read each time: it is renewed there.
std::unique_ptr<CredentialsSource> assumeRoleWithWebIdentity(StsOptions options, RoleRequest role,
                                                             std::string token_file, const Clock& clock);

// The XML answer to `action`. Errors never show any of it.
Result<Credentials> parseStsCredentials(std::string_view xml, const std::string& action);
// What STS says in an answer with another status than 200: its code and its sentence.
Error stsError(int status, std::string_view xml);

}  // namespace buoy::aws
