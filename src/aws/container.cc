#include "aws/container.h"

#include <algorithm>
#include <array>
#include <utility>

#include "aws/service_call.h"
#include "aws/shared_files.h"
#include "base/strings.h"
#include "os/files.h"

namespace buoy::aws {
namespace {

// ECS, and EKS by IPv4 and IPv6.
constexpr std::array<std::string_view, 3> kTrusted = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};

class ContainerCredentials final : public CredentialsSource {
 public:
  explicit ContainerCredentials(ContainerOptions options) : options_(std::move(options)) {}

  Result<Credentials> fetch() override {
    auto url = parseServiceUrl(options_.url);
    if (!url) return fail(url.error().wrap("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    const std::string& host = url->endpoint.host;
    if (url->endpoint.kind != net::Endpoint::Kind::tls && !isLoopback(host) &&
        std::find(kTrusted.begin(), kTrusted.end(), host) == kTrusted.end()) {
      return fail(
          ErrorCode::invalid_argument,
          strCat({"AWS_CONTAINER_CREDENTIALS_FULL_URI names ", inQuotes(host),
                  ", which must be asked by https:// (http:// is only for this machine and for AWS's own "
                  "addresses)"}));
    }
    auto credentials = ask(*url);
    if (credentials) return credentials;
    return fail(credentials.error().wrap("container credentials from " + url->endpoint.toString()));
  }

 private:
  Result<std::string> authorization() const {
    std::string token = options_.token;
    if (!options_.token_file.empty()) {
      BUOY_TRY(token, os::readFile(options_.token_file, 1u << 20));
    }
    if (token.find_first_of("\r\n") != std::string::npos) {
      return fail(ErrorCode::invalid_argument, "the authorization token holds a line break");
    }
    return token;
  }

  Result<Credentials> ask(const ServiceUrl& url) const {
    net::Request request;
    request.method = "GET";
    request.target = url.target;
    request.headers = {{"Host", url.hostHeader()}, {"Accept", "application/json"}};
    BUOY_TRY(std::string token, authorization());
    if (!token.empty()) request.headers.emplace_back("Authorization", std::move(token));
    net::ClientOptions client_options;
    client_options.connect_timeout = options_.timeout;
    client_options.max_response = 1u << 20;
    const auto client = net::makeClient(url.endpoint, client_options);
    auto response = client->send(request, options_.timeout);
    for (int again = 1; again < options_.attempts && (!response || response->status >= 500); ++again) {
      response = client->send(request, options_.timeout);
    }
    if (!response) return fail(std::move(response).error());
    if (response->status == 200) return parseCredentials(response->body, "it");
    const bool retryable = response->status >= 500 || response->status == 429;
    return fail(retryable ? ErrorCode::unavailable : ErrorCode::unauthenticated,
                "status " + std::to_string(response->status), retryable);
  }

  const ContainerOptions options_;
};

}  // namespace

ContainerOptions containerOptions(const Environment& environment) {
  ContainerOptions options;
  const std::string relative = variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  options.url = relative.empty() ? variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                 : "http://169.254.170.2" + relative;
  options.token = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  options.token_file = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  return options;
}

std::unique_ptr<CredentialsSource> containerCredentials(ContainerOptions options) {
  return std::make_unique<ContainerCredentials>(std::move(options));
}

}  // namespace buoy::aws
