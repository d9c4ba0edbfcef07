#include "aws/sts.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <pugixml.hpp>
#include <utility>

#include "aws/endpoint.h"
#include "aws/service_call.h"
#include "aws/sigv4.h"
#include "base/strings.h"
#include "net/url.h"
#include "os/files.h"

namespace buoy::aws {
namespace {

constexpr const char* kVersion = "2011-06-15";
constexpr Duration kTimeout = std::chrono::seconds{20};
constexpr Duration kConnectTimeout = std::chrono::seconds{4};
constexpr std::size_t kLongestReason = 300;

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  BUOY_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return toHex({digest.data(), size});
}

bool isExpiredToken(const Error& error) {
  return error.code == ErrorCode::unauthenticated && error.message.find("Expired") != std::string::npos;
}

class Sts {
 public:
  Sts(StsOptions options, RoleRequest role, const Clock& clock)
      : options_(std::move(options)),
        role_(std::move(role)),
        clock_(clock),
        signer_(SigningScope{.region = options_.region, .service = "sts"}) {}

  // `caller` null: not signed.
  Result<Credentials> call(const std::string& action, NameValues parameters, const Credentials* caller) {
    auto credentials = tryCall(action, std::move(parameters), caller);
    if (credentials) return credentials;
    return fail(credentials.error().wrap(strCat({action, " for ", inQuotes(role_.role_arn)})));
  }

 private:
  Result<Credentials> tryCall(const std::string& action, NameValues parameters, const Credentials* caller) {
    auto url = parseServiceUrl(options_.url);
    if (!url) return fail(url.error().wrap("STS endpoint"));
    const Time now = clock_.now();
    net::Request request;
    request.method = "POST";
    request.target = url->target;
    request.body = body(action, std::move(parameters), now);
    request.headers = {{"Host", url->hostHeader()},
                       {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    if (caller != nullptr) {
      BUOY_TRY(request.headers, signedHeaders(request, *caller, now));
    }
    net::ClientOptions client_options;
    client_options.connect_timeout = kConnectTimeout;
    client_options.ca_file = options_.ca_bundle;
    client_options.max_response = 1u << 20;
    const auto client = net::makeClient(url->endpoint, client_options);
    auto response = client->send(request, kTimeout);
    if (response && response->status >= 500) response = client->send(request, kTimeout);
    if (!response) return fail(std::move(response).error());
    if (response->status != 200) return fail(stsError(response->status, response->body));
    return parseStsCredentials(response->body, action);
  }

  std::string body(const std::string& action, NameValues parameters, Time now) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    parameters.emplace_back("Action", action);
    parameters.emplace_back("Version", kVersion);
    parameters.emplace_back("RoleArn", role_.role_arn);
    parameters.emplace_back("RoleSessionName", role_.session_name.empty() ? "buoy-" + std::to_string(seconds)
                                                                          : role_.session_name);
    if (role_.duration_seconds > 0) {
      parameters.emplace_back("DurationSeconds", std::to_string(role_.duration_seconds));
    }
    return canonicalQuery(parameters);
  }

  Result<NameValues> signedHeaders(const net::Request& request, const Credentials& caller, Time now) {
    BUOY_TRY(net::Target target, net::parseTarget(request.target));
    return signer_.sign({.method = request.method,
                         .path = std::move(target.path),
                         .query = std::move(target.query),
                         .headers = request.headers,
                         .payload_sha256 = sha256(request.body)},
                        caller, now);
  }

  const StsOptions options_;
  const RoleRequest role_;
  const Clock& clock_;
  Signer signer_;
};

class AssumeRole final : public CredentialsSource {
 public:
  AssumeRole(StsOptions options, RoleRequest role, std::shared_ptr<CredentialsProvider> source,
             const Clock& clock)
      : external_id_(role.external_id),
        sts_(std::move(options), std::move(role), clock),
        source_(std::move(source)) {}

  Result<Credentials> fetch() override {
    BUOY_TRY(const Credentials caller, source_->get());
    auto credentials = sts_.call("AssumeRole", parameters(), &caller);
    if (credentials || !isExpiredToken(credentials.error())) return credentials;
    source_->reject(caller);
    BUOY_TRY(const Credentials renewed, source_->get());
    return renewed == caller ? credentials : sts_.call("AssumeRole", parameters(), &renewed);
  }

 private:
  NameValues parameters() const {
    return external_id_.empty() ? NameValues{} : NameValues{{"ExternalId", external_id_}};
  }

  const std::string external_id_;
  Sts sts_;
  const std::shared_ptr<CredentialsProvider> source_;
};

class WebIdentity final : public CredentialsSource {
 public:
  WebIdentity(StsOptions options, RoleRequest role, std::string token_file, const Clock& clock)
      : sts_(std::move(options), std::move(role), clock), token_file_(std::move(token_file)) {}

  Result<Credentials> fetch() override {
    auto token = os::readFile(token_file_, 1u << 20);
    if (!token) return fail(token.error().wrap("web identity token"));
    if (trim(*token).empty()) {
      return fail(ErrorCode::invalid_argument, "the web identity token in " + token_file_ + " is empty");
    }
    return sts_.call("AssumeRoleWithWebIdentity", {{"WebIdentityToken", std::string(trim(*token))}}, nullptr);
  }

 private:
  Sts sts_;
  const std::string token_file_;
};

ErrorCode codeOf(int status, std::string_view code) {
  const auto any = [&](std::initializer_list<std::string_view> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
  };
  if (status >= 500 ||
      any({"Throttling", "ThrottlingException", "RequestLimitExceeded", "IDPCommunicationError"}))
    return ErrorCode::unavailable;
  if (any({"AccessDenied", "AccessDeniedException", "RegionDisabledException"}))
    return ErrorCode::permission_denied;
  if (status == 401 || status == 403 ||
      any({"ExpiredToken", "ExpiredTokenException", "InvalidIdentityToken", "IDPRejectedClaim"}))
    return ErrorCode::unauthenticated;
  return ErrorCode::invalid_argument;
}

}  // namespace

std::string stsUrl(const Settings& settings) {
  return serviceEndpoint(settings, "sts", settings.sts_endpoint).url;
}

Result<Credentials> parseStsCredentials(std::string_view xml, const std::string& action) {
  const auto wrong = [](std::string_view what) {
    return fail(ErrorCode::internal, strCat({"STS answered ", what}));
  };
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return wrong("something that is not XML");
  const pugi::xml_node node =
      document.child((action + "Response").c_str()).child((action + "Result").c_str()).child("Credentials");
  Credentials credentials;
  credentials.access_key = trim(node.child_value("AccessKeyId"));
  credentials.secret_key = trim(node.child_value("SecretAccessKey"));
  credentials.session_token = trim(node.child_value("SessionToken"));
  if (credentials.access_key.empty() || credentials.secret_key.empty() || credentials.session_token.empty()) {
    return wrong("without credentials");
  }
  const auto expires = parseExpiration(trim(node.child_value("Expiration")));
  if (!expires) return wrong("with an Expiration that is no RFC 3339 time");
  credentials.expires = *expires;
  return credentials;
}

Error stsError(int status, std::string_view xml) {
  pugi::xml_document document;
  std::string code, message;
  if (document.load_buffer(xml.data(), xml.size())) {
    const pugi::xml_node node = document.child("ErrorResponse").child("Error");
    code = trim(node.child_value("Code"));
    // What follows in later lines is what was signed.
    message = split(trim(node.child_value("Message")), '\n').front();
    message.resize(std::min(message.size(), kLongestReason));
  }
  const ErrorCode kind = codeOf(status, code);
  const std::string said = code.empty() ? "status " + std::to_string(status)
                                        : strCat({code, message.empty() ? "" : ": ", message});
  return Error{kind, "STS refuses: " + said, kind == ErrorCode::unavailable};
}

std::unique_ptr<CredentialsSource> assumeRole(StsOptions options, RoleRequest role,
                                              std::shared_ptr<CredentialsProvider> source,
                                              const Clock& clock) {
  return std::make_unique<AssumeRole>(std::move(options), std::move(role), std::move(source), clock);
}

std::unique_ptr<CredentialsSource> assumeRoleWithWebIdentity(StsOptions options, RoleRequest role,
                                                             std::string token_file, const Clock& clock) {
  return std::make_unique<WebIdentity>(std::move(options), std::move(role), std::move(token_file), clock);
}

}  // namespace buoy::aws
