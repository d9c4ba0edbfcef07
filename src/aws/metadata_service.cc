#include "aws/metadata_service.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "aws/service_call.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "os/log.h"

namespace buoy::aws {
namespace {

constexpr const char* kTokenSeconds = "21600";
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
    BUOY_TRY(url_, parseServiceUrl(options_.endpoint));
    while (url_.target.ends_with('/')) url_.target.pop_back();
    net::ClientOptions client_options;
    client_options.connect_timeout = options_.timeout;
    client_options.max_response = 1u << 20;
    client_ = net::makeClient(url_.endpoint, client_options);
    auto credentials = ask();
    client_.reset();
    if (credentials) return credentials;
    const Error error = std::move(credentials).error();
    if (answered_ || nowhere_else_.empty()) return fail(error.wrap(name()));
    return fail(ErrorCode::unauthenticated, strCat({nowhere_else_, "; ", name(), ": ", error.message}));
  }

 private:
  std::string name() const { return "instance metadata service at " + url_.endpoint.toString(); }

  Result<net::Response> request(std::string method, std::string_view path, const char* header,
                                const std::string& value) {
    net::Request request;
    request.method = std::move(method);
    request.target = strCat({url_.target, path});
    request.headers = {{"Host", url_.hostHeader()}};
    if (!value.empty()) request.headers.emplace_back(header, value);
    auto response = client_->send(request, options_.timeout);
    for (int again = 1; again < options_.attempts && (!response || response->status >= 500); ++again) {
      response = client_->send(request, options_.timeout);
    }
    answered_ = answered_ || response;
    return response;
  }

  // Empty: ask without one.
  Result<std::string> token() {
    auto response =
        request("PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
    // Somebody listens, but the answer got lost on the way here.
    const bool lost = !response && response.error().code == ErrorCode::deadline_exceeded;
    if (!response && !lost) return fail(std::move(response).error());
    if (!lost && response->status == 200) return std::string(trim(response->body));
    if (!lost && response->status == 400) {
      return fail(ErrorCode::invalid_argument, "it takes no request for a token (status 400)");
    }
    if (lost || response->status == 403 || response->status == 404 || response->status == 405) {
      if (options_.allow_v1) return std::string();
      return fail(ErrorCode::unavailable,
                  "it gives no token, and version 1, which needs none, is switched off; in a container the "
                  "instance's hop limit must be at least 2",
                  true);
    }
    return fail(ErrorCode::unavailable, "status " + std::to_string(response->status), true);
  }

  Result<std::string> read(const std::string& token, std::string_view path, std::string_view if_absent) {
    BUOY_TRY(net::Response response, request("GET", path, "x-aws-ec2-metadata-token", token));
    if (response.status == 404) return fail(ErrorCode::unauthenticated, std::string(if_absent));
    if (response.status == 401) {
      return fail(ErrorCode::unavailable, "it wants a token and gave none that it takes (status 401)", true);
    }
    if (response.status != 200 || trim(response.body).empty()) {
      return fail(ErrorCode::unavailable, "status " + std::to_string(response.status), true);
    }
    return std::move(response.body);
  }

  Result<Credentials> ask() {
    BUOY_TRY(const std::string token, token());
    BUOY_TRY(const std::string roles, read(token, kRolesPath, "no IAM role is attached to this instance"));
    const std::string role(trim(split(trim(roles), '\n').front()));
    BUOY_TRY(const std::string document,
             read(token, strCat({kRolesPath, role}), "the instance's IAM role is gone"));
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
  ServiceUrl url_;
  std::unique_ptr<net::Client> client_;
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
