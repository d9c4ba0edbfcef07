#include "aws/metadata_service.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "aws/metadata_client.h"
#include "aws/service_call.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "os/log.h"

namespace buoy::aws {
namespace {

constexpr std::string_view kRolesPath = "/latest/meta-data/iam/security-credentials/";
// How long credentials that the service failed to renew are used before it is asked again; AWS's own tools do
// likewise, and its services take them.
constexpr Duration kExtension = std::chrono::minutes{10};

class InstanceMetadata final : public CredentialsSource {
 public:
  InstanceMetadata(MetadataOptions options, std::string nowhere_else, const Clock& clock)
      : options_(std::move(options)), nowhere_else_(std::move(nowhere_else)), clock_(clock) {}

  Result<Credentials> fetch() override {
    if (options_.disabled) {
      return fail(
          ErrorCode::unauthenticated,
          nowhere_else_ + "; the instance metadata service is switched off (AWS_EC2_METADATA_DISABLED)");
    }
    BUOY_TRY(MetadataClient client, MetadataClient::create(options_));
    auto credentials = ask(client);
    answered_ = answered_ || client.answered();
    if (credentials) return credentials;
    const Error error = std::move(credentials).error();
    if (answered_ || nowhere_else_.empty()) return fail(error.wrap(client.name()));
    return fail(ErrorCode::unauthenticated,
                strCat({nowhere_else_, "; ", client.name(), ": ", error.message}));
  }

 private:
  static Result<std::string> read(MetadataClient& client, std::string_view path, std::string_view if_absent) {
    BUOY_TRY(const std::optional<std::string> found, client.get(path));
    if (!found) return fail(ErrorCode::unauthenticated, std::string(if_absent));
    if (trim(*found).empty()) return fail(ErrorCode::unavailable, "status 200", true);
    return *found;
  }

  Result<Credentials> ask(MetadataClient& client) {
    BUOY_TRY(const std::string roles, read(client, kRolesPath, "no IAM role is attached to this instance"));
    const std::string role(trim(split(trim(roles), '\n').front()));
    BUOY_TRY(const std::string document,
             read(client, strCat({kRolesPath, role}), "the instance's IAM role is gone"));
    const auto parsed = nlohmann::json::parse(document, nullptr, false);
    if (parsed.is_object() && parsed.contains("Code") && parsed["Code"] != "Success") {
      const std::string code = parsed["Code"].is_string() ? parsed["Code"].get<std::string>() : "";
      return fail(ErrorCode::unavailable,
                  strCat({"it has no credentials for role ", inQuotes(role), " (", inQuotes(code), ")"}),
                  true);
    }
    BUOY_TRY(Credentials credentials, parseCredentials(document, "it"));
    if (credentials.expires && *credentials.expires <= clock_.now() + kRefreshAhead) {
      os::log(os::LogLevel::warn, "aws_credentials_extended",
              {{"expires", formatTime(*credentials.expires)}});
      credentials.expires = clock_.now() + kExtension;
    }
    return credentials;
  }

  const MetadataOptions options_;
  const std::string nowhere_else_;
  const Clock& clock_;
  bool answered_ = false;  // anything, ever
};

Result<int> positive(const std::string& text, int fallback, const std::string& where) {
  if (text.empty()) return fallback;
  const auto number = parseNumber<int>(text);
  if (number && *number >= 1 && *number <= 60) return *number;
  return fail(ErrorCode::invalid_argument, where + " must be a number from 1 to 60, not " + inQuotes(text));
}

}  // namespace

Result<MetadataOptions> metadataOptions(const Environment& environment, const SharedFiles& files,
                                        const std::string& profile) {
  const auto at = files.profiles.find(profile);
  const auto find = [&](const char* name, const char* key) {
    std::string value = variable(environment, name);
    return !value.empty() || at == files.profiles.end() ? value : at->second.value(key);
  };
  MetadataOptions options;
  // As AWS's tools: what is neither yes nor no is no.
  const std::string disabled = variable(environment, "AWS_EC2_METADATA_DISABLED");
  options.disabled = parseFlag(disabled, "").value_or(false);
  const std::string v1 = find("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled");
  options.allow_v1 = !parseFlag(v1, "").value_or(false);
  std::string mode = find("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
  if (mode == "ipv6" || mode == "IPv6") options.endpoint = "http://[fd00:ec2::254]";
  const std::string endpoint = find("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
  if (!endpoint.empty()) options.endpoint = endpoint;
  BUOY_TRY(const int seconds, positive(find("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout"), 1,
                                       "AWS_METADATA_SERVICE_TIMEOUT"));
  options.timeout = std::chrono::seconds{seconds};
  BUOY_TRY(options.attempts,
           positive(find("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts"), 1,
                    "AWS_METADATA_SERVICE_NUM_ATTEMPTS"));
  return options;
}

std::unique_ptr<CredentialsSource> instanceMetadata(MetadataOptions options, std::string nowhere_else,
                                                    const Clock& clock) {
  return std::make_unique<InstanceMetadata>(std::move(options), std::move(nowhere_else), clock);
}

}  // namespace buoy::aws
