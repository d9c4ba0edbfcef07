#include "aws/credentials.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "aws/container.h"
#include "aws/credential_process.h"
#include "aws/metadata_service.h"
#include "aws/refresh.h"
#include "aws/service_call.h"
#include "aws/settings.h"
#include "aws/shared_files.h"
#include "aws/sts.h"
#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::aws {
namespace {

using SourceResult = Result<std::unique_ptr<CredentialsSource>>;

class StaticProvider final : public CredentialsProvider {
 public:
  explicit StaticProvider(Credentials credentials) : credentials_(std::move(credentials)) {}
  Result<Credentials> get() override { return credentials_; }
  void reject(const Credentials&) override {}

 private:
  const Credentials credentials_;
};

Result<Credentials> keysIn(const std::map<std::string, IniValue>& values, const std::string& where) {
  const auto value = [&](const char* key) {
    const auto at = values.find(key);
    return at == values.end() ? std::string() : at->second.text;
  };
  Credentials credentials{value("aws_access_key_id"), value("aws_secret_access_key"),
                          value("aws_session_token"), std::nullopt};
  if (credentials.session_token.empty()) credentials.session_token = value("aws_security_token");
  if (!credentials.access_key.empty() && !credentials.secret_key.empty()) return credentials;
  return fail(ErrorCode::unauthenticated,
              strCat({where, " has ",
                      credentials.access_key.empty() ? "no aws_access_key_id" : "no aws_secret_access_key"}));
}

Result<Credentials> keysInEnvironment(const Environment& environment) {
  Credentials credentials{variable(environment, "AWS_ACCESS_KEY_ID"),
                          variable(environment, "AWS_SECRET_ACCESS_KEY"),
                          variable(environment, "AWS_SESSION_TOKEN"), std::nullopt};
  if (credentials.session_token.empty())
    credentials.session_token = variable(environment, "AWS_SECURITY_TOKEN");
  if (credentials.secret_key.empty()) {
    return fail(ErrorCode::unauthenticated, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  }
  const std::string expiration = variable(environment, "AWS_CREDENTIAL_EXPIRATION");
  if (!expiration.empty()) {
    auto expires = parseExpiration(expiration);
    if (!expires) return fail(expires.error().wrap("AWS_CREDENTIAL_EXPIRATION"));
    credentials.expires = *expires;
  }
  return credentials;
}

class EnvironmentKeys final : public CredentialsSource {
 public:
  explicit EnvironmentKeys(Environment environment) : environment_(std::move(environment)) {}
  Result<Credentials> fetch() override { return keysInEnvironment(environment_); }

 private:
  const Environment environment_;
};

// Read each time: other programs renew the keys there.
class ProfileKeys final : public CredentialsSource {
 public:
  ProfileKeys(Environment environment, std::string profile, bool in_config)
      : environment_(std::move(environment)), profile_(std::move(profile)), in_config_(in_config) {}

  Result<Credentials> fetch() override {
    BUOY_TRY(const SharedFiles files, loadSharedFiles(environment_));
    const auto profile = files.profiles.find(profile_);
    const std::string where = strCat(
        {"profile ", inQuotes(profile_), " in ", in_config_ ? files.config_path : files.credentials_path});
    if (profile == files.profiles.end()) return fail(ErrorCode::unauthenticated, where + " is gone");
    return keysIn(in_config_ ? profile->second.config_values : profile->second.credentials_values, where);
  }

 private:
  const Environment environment_;
  const std::string profile_;
  const bool in_config_;
};

// Finds the one source that is set up, and those below it.
class Chain {
 public:
  Chain(const Environment& environment, const Settings& settings, SharedFiles files, const Clock& clock)
      : environment_(environment), settings_(settings), files_(std::move(files)), clock_(clock) {}

  SourceResult build() {
    if (!settings_.profile_given && !variable(environment_, "AWS_ACCESS_KEY_ID").empty()) {
      BUOY_TRY_VOID(keysInEnvironment(environment_).map([](const Credentials&) {}));
      return std::make_unique<EnvironmentKeys>(environment_);
    }
    auto profile = files_.profile(settings_.profile);
    if (!profile) return fail(ErrorCode::invalid_argument, std::move(profile).error().message);
    std::vector<std::string> visited = {profile->name};
    if (isRole(*profile)) return role(*profile, visited);
    BUOY_TRY(auto source, ofProfile(*profile, !settings_.profile_given));
    if (source) return source;
    ContainerOptions container = containerOptions(environment_);
    if (!container.url.empty()) return containerCredentials(std::move(container));
    return metadata(
        strCat({"no AWS credentials: AWS_ACCESS_KEY_ID is not set; ", files_.place(profile->name),
                " has no keys, role or credential_process; AWS_CONTAINER_CREDENTIALS_FULL_URI is not set"}));
  }

 private:
  static bool has(const std::map<std::string, IniValue>& values, const char* key) {
    const auto at = values.find(key);
    return at != values.end() && !at->second.text.empty();
  }
  static bool isRole(const Profile& profile) {
    return has(profile.values, "role_arn") && !has(profile.values, "web_identity_token_file");
  }
  static bool hasKeys(const Profile& profile) {
    return has(profile.values, "aws_access_key_id") || has(profile.values, "aws_secret_access_key");
  }
  tl::unexpected<Error> wrong(const Profile& profile, std::string_view what) const {
    return fail(ErrorCode::invalid_argument, strCat({files_.place(profile.name), ": ", what}));
  }

  // Everything of a profile but a role: null if there is nothing.
  SourceResult ofProfile(const Profile& profile, bool with_environment) {
    BUOY_TRY(auto web_identity, webIdentity(profile, with_environment));
    if (web_identity) return web_identity;
    if (has(profile.credentials_values, "aws_access_key_id")) return keys(profile, false);
    if (has(profile.values, "credential_process")) {
      return credentialProcess(profile.value("credential_process"), files_.place(profile.name), environment_);
    }
    if (has(profile.config_values, "aws_access_key_id")) return keys(profile, true);
    if (hasKeys(profile)) return wrong(profile, "there is an aws_secret_access_key but no aws_access_key_id");
    if (has(profile.values, "sso_session") || has(profile.values, "sso_start_url") ||
        has(profile.values, "login_session")) {
      return wrong(profile, strCat({"it signs in by a browser, which the AWS CLI must do; add a profile with "
                                    "credential_process = aws configure export-credentials --profile ",
                                    profile.name, " --format process, and name that one"}));
    }
    return nullptr;
  }

  SourceResult keys(const Profile& profile, bool in_config) const {
    BUOY_TRY_VOID(
        keysIn(in_config ? profile.config_values : profile.credentials_values, files_.place(profile.name))
            .map([](const Credentials&) {}));
    return std::make_unique<ProfileKeys>(environment_, profile.name, in_config);
  }

  SourceResult webIdentity(const Profile& profile, bool with_environment) {
    const auto find = [&](const char* name, const char* key) {
      const std::string value = with_environment ? variable(environment_, name) : "";
      return value.empty() ? profile.value(key) : value;
    };
    std::string token_file = find("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    if (token_file.empty()) return nullptr;
    RoleRequest request;
    request.role_arn = find("AWS_ROLE_ARN", "role_arn");
    request.session_name = find("AWS_ROLE_SESSION_NAME", "role_session_name");
    if (request.role_arn.empty()) {
      return wrong(profile, "there is a web identity token, but neither AWS_ROLE_ARN nor role_arn");
    }
    BUOY_TRY(request.duration_seconds, duration(profile));
    return assumeRoleWithWebIdentity(sts(), std::move(request), std::move(token_file), clock_);
  }

  Result<int> duration(const Profile& profile) const {
    const std::string text = profile.value("duration_seconds");
    if (text.empty()) return 0;
    const auto seconds = parseNumber<int>(text);
    if (seconds && *seconds > 0) return *seconds;
    return wrong(profile, "duration_seconds must be a number of seconds, not " + inQuotes(text));
  }

  StsOptions sts() const { return {stsUrl(settings_), settings_.region, settings_.ca_bundle}; }

  // `visited` are the profiles on the way here, this one last.
  SourceResult role(const Profile& profile, std::vector<std::string>& visited) {
    if (has(profile.values, "mfa_serial")) {
      return wrong(profile,
                   "its role asks for an MFA code, which cannot be given here; use a session's keys");
    }
    RoleRequest request;
    request.role_arn = profile.value("role_arn");
    request.session_name = profile.value("role_session_name");
    request.external_id = profile.value("external_id");
    BUOY_TRY(request.duration_seconds, duration(profile));
    const std::string source_profile = profile.value("source_profile");
    const std::string credential_source = profile.value("credential_source");
    if (source_profile.empty() == credential_source.empty()) {
      return wrong(profile, source_profile.empty()
                                ? "role_arn needs a source_profile or a credential_source beside it"
                                : "source_profile and credential_source are both there; remove one of them");
    }
    BUOY_TRY(auto source, source_profile.empty() ? named(profile, credential_source)
                                                 : sourceProfile(profile, source_profile, visited));
    return assumeRole(sts(), std::move(request), keepCredentials(std::move(source), clock_), clock_);
  }

  SourceResult sourceProfile(const Profile& parent, const std::string& name,
                             std::vector<std::string>& visited) {
    const auto found = files_.profiles.find(name);
    if (found == files_.profiles.end()) {
      return wrong(parent, strCat({"source_profile names ", inQuotes(name), ", which does not exist"}));
    }
    const Profile& source = found->second;
    const bool is_seen = std::find(visited.begin(), visited.end(), name) != visited.end();
    // A profile may name itself, for the keys that stand in it.
    if (is_seen && (name != parent.name || !hasKeys(source))) {
      return wrong(parent, "its source_profile leads back to it: " + join(visited, " -> ") + " -> " + name);
    }
    visited.push_back(name);
    if (isRole(source) && !hasKeys(source)) return role(source, visited);
    BUOY_TRY(auto below, ofProfile(source, false));
    if (!below) return wrong(source, "it has no credentials, but another profile names it as its source");
    return below;
  }

  SourceResult named(const Profile& profile, const std::string& name) {
    if (name == "Environment") {
      if (variable(environment_, "AWS_ACCESS_KEY_ID").empty()) {
        return fail(ErrorCode::unauthenticated,
                    files_.place(profile.name) +
                        ": credential_source is Environment, but AWS_ACCESS_KEY_ID is not set");
      }
      return std::make_unique<EnvironmentKeys>(environment_);
    }
    if (name == "Ec2InstanceMetadata") return metadata("");
    if (name == "EcsContainer") {
      ContainerOptions container = containerOptions(environment_);
      if (!container.url.empty()) return containerCredentials(std::move(container));
      return fail(ErrorCode::unauthenticated,
                  files_.place(profile.name) +
                      ": credential_source is EcsContainer, but AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and "
                      "_FULL_URI are not set");
    }
    return wrong(profile,
                 strCat({"credential_source must be Environment, Ec2InstanceMetadata or EcsContainer, not ",
                         inQuotes(name)}));
  }

  SourceResult metadata(std::string nowhere_else) const {
    BUOY_TRY(MetadataOptions options, metadataOptions(environment_, files_, settings_.profile));
    return instanceMetadata(std::move(options), std::move(nowhere_else), clock_);
  }

  const Environment& environment_;
  const Settings& settings_;
  const SharedFiles files_;
  const Clock& clock_;
};

}  // namespace

Result<std::shared_ptr<CredentialsProvider>> defaultCredentials(const Environment& environment,
                                                                const Settings& settings,
                                                                const Clock& clock) {
  BUOY_TRY(SharedFiles files, loadSharedFiles(environment));
  BUOY_TRY(auto source, Chain(environment, settings, std::move(files), clock).build());
  return keepCredentials(std::move(source), clock);
}

std::shared_ptr<CredentialsProvider> staticCredentials(Credentials credentials) {
  return std::make_shared<StaticProvider>(std::move(credentials));
}

}  // namespace buoy::aws
