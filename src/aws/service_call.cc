#include "aws/service_call.h"

#include <nlohmann/json.hpp>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::aws {
namespace {

std::string stringOf(const nlohmann::json& document, const char* name) {
  const auto at = document.find(name);
  return at != document.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

std::string ServiceUrl::hostHeader() const {
  const std::string text = endpoint.toString();
  std::string_view host = std::string_view(text).substr(text.find("//") + 2);
  const std::string_view own_port = endpoint.kind == net::Endpoint::Kind::tls ? ":443" : ":80";
  if (host.ends_with(own_port)) host.remove_suffix(own_port.size());
  return std::string(host);
}

Result<ServiceUrl> parseServiceUrl(std::string_view url) {
  ServiceUrl parsed;
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "the URL does not begin with http:// or https://");
  }
  const auto path = std::min(url.find_first_of("/?#", scheme_end + 3), url.size());
  auto endpoint = net::parseEndpoint(url.substr(0, path));
  if (!endpoint) return fail(std::move(endpoint).error());
  parsed.endpoint = std::move(*endpoint);
  parsed.target = url.substr(path, url.find('#') - path);
  if (!parsed.target.starts_with('/')) parsed.target.insert(0, "/");
  return parsed;
}

bool isLoopback(std::string_view host) {
  // A name that begins with "127." is no address.
  const bool is_v4 = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return host == "localhost" || host == "::1" || (is_v4 && host.starts_with("127."));
}

Result<Time> parseExpiration(std::string_view text) {
  const auto sign = text.find_last_of("+-");
  if (sign == std::string_view::npos || text.size() - sign != 6 || text[sign + 3] != ':' ||
      text.find('T') > sign) {
    return parseTime(text);
  }
  const auto hours = parseNumber<int>(text.substr(sign + 1, 2));
  const auto minutes = parseNumber<int>(text.substr(sign + 4, 2));
  const auto right = [](std::optional<int> number) { return number && *number >= 0 && *number < 60; };
  if (!right(hours) || !right(minutes)) return parseTime(text);
  BUOY_TRY(const Time local, parseTime(strCat({text.substr(0, sign), "Z"})));
  const Duration offset = std::chrono::hours{*hours} + std::chrono::minutes{*minutes};
  return text[sign] == '-' ? local + offset : local - offset;
}

Result<Credentials> parseCredentials(std::string_view json, const std::string& where) {
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::invalid_argument, strCat({where, " answered ", what}));
  };
  // Never the parser's own message: it quotes the document.
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object()) return wrong("something that is not a JSON object");
  Credentials credentials;
  credentials.access_key = stringOf(document, "AccessKeyId");
  credentials.secret_key = stringOf(document, "SecretAccessKey");
  credentials.session_token = stringOf(document, "Token");
  if (credentials.session_token.empty()) credentials.session_token = stringOf(document, "SessionToken");
  if (credentials.access_key.empty()) return wrong("without an AccessKeyId");
  if (credentials.secret_key.empty()) return wrong("without a SecretAccessKey");
  const std::string expiration = stringOf(document, "Expiration");
  if (!expiration.empty()) {
    const auto expires = parseExpiration(expiration);
    if (!expires) return wrong("with an Expiration that is no RFC 3339 time");
    credentials.expires = *expires;
  }
  return credentials;
}

}  // namespace buoy::aws
