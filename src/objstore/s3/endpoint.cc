#include "objstore/s3/endpoint.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::objstore::s3 {
namespace {

std::string awsHost(const aws::Settings& settings, const std::string& region) {
  const bool china = region.starts_with("cn-");
  return strCat({settings.use_fips ? "s3-fips." : "s3.", settings.use_dualstack ? "dualstack." : "", region,
                 ".amazonaws.com", china ? ".cn" : ""});
}

// A bucket's name can be a part of a host name: and without dots, so that a wildcard certificate covers it.
bool canBeHostLabel(const std::string& bucket) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return bucket.size() <= 63 && std::all_of(bucket.begin(), bucket.end(), plain) && bucket.front() != '-' &&
         bucket.back() != '-';
}

std::string hostHeader(const net::Endpoint& server) {
  const std::string name = server.toString();
  std::string host = name.substr(name.find("//") + 2);
  const std::string_view default_port = server.kind == net::Endpoint::Kind::tls ? ":443" : ":80";
  if (host.ends_with(default_port)) host.resize(host.size() - default_port.size());
  return host;
}

}  // namespace

Result<BucketEndpoint> endpointOf(const aws::Settings& settings, const std::string& region,
                                  const std::string& bucket) {
  BucketEndpoint at;
  std::string url = settings.s3_endpoint;
  if (url.empty()) url = "https://" + awsHost(settings, region);
  while (url.ends_with('/')) url.pop_back();
  const auto authority = url.find("://");
  const auto path = authority == std::string::npos ? std::string::npos : url.find('/', authority + 3);
  if (path != std::string::npos) {
    at.path_prefix = url.substr(path);
    url.resize(path);
  }
  auto server = net::parseEndpoint(url);
  if (!server) return fail(server.error().wrap("the S3 endpoint " + inQuotes(url)));
  at.server = std::move(*server);
  at.is_aws = at.server.host.ends_with(".amazonaws.com") || at.server.host.ends_with(".amazonaws.com.cn");
  bool by_host = settings.addressing == aws::Addressing::virtual_host;
  if (settings.addressing == aws::Addressing::automatic) by_host = settings.s3_endpoint.empty();
  const bool ip = at.server.host.find(':') != std::string::npos ||
                  at.server.host.find_first_not_of("0123456789.") == std::string::npos;
  if (!bucket.empty() && by_host && canBeHostLabel(bucket) && !ip &&
      at.server.kind != net::Endpoint::Kind::unix_socket) {
    at.server.host = bucket + "." + at.server.host;
  } else if (!bucket.empty()) {
    at.path_prefix += "/" + bucket;
  }
  at.host = at.server.kind == net::Endpoint::Kind::unix_socket ? "localhost" : hostHeader(at.server);
  return at;
}

}  // namespace buoy::objstore::s3
