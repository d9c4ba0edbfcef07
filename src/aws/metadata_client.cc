#include "aws/metadata_client.h"

#include <utility>

#include "base/strings.h"

namespace buoy::aws {
namespace {

constexpr const char* kTokenSeconds = "21600";

}  // namespace

Result<MetadataClient> MetadataClient::create(MetadataOptions options) {
  BUOY_TRY(ServiceUrl url, parseServiceUrl(options.endpoint));
  while (url.target.ends_with('/')) url.target.pop_back();
  return MetadataClient(std::move(options), std::move(url));
}

MetadataClient::MetadataClient(MetadataOptions options, ServiceUrl url)
    : options_(std::move(options)), url_(std::move(url)) {
  net::ClientOptions client_options;
  client_options.connect_timeout = options_.timeout;
  client_options.max_response = 1u << 20;
  client_ = net::makeClient(url_.endpoint, client_options);
}

Result<net::Response> MetadataClient::request(std::string method, std::string_view path, const char* header,
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

Result<std::string> MetadataClient::fetchToken() {
  auto response = request("PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds);
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

Result<std::optional<std::string>> MetadataClient::get(std::string_view path) {
  for (const bool kept : {token_.has_value(), false}) {
    if (!kept) {
      BUOY_TRY(token_, fetchToken());
    }
    BUOY_TRY(net::Response response, request("GET", path, "x-aws-ec2-metadata-token", *token_));
    if (response.status == 200) return std::optional(std::move(response.body));
    if (response.status == 404) return std::optional<std::string>();
    if (response.status != 401) {
      return fail(ErrorCode::unavailable, "status " + std::to_string(response.status), true);
    }
    token_.reset();
    if (!kept) break;  // else: it was too old
  }
  return fail(ErrorCode::unavailable, "it wants a token and gave none that it takes (status 401)", true);
}

}  // namespace buoy::aws
