#include "net/url.h"

#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"
#include "net/http.h"

namespace buoy::net {

namespace {

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool isUnreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool isHostCharacter(char c) {
  return isUnreserved(c) || c == ':';
}

tl::unexpected<Error> badEndpoint(std::string_view text, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              strCat({"server address \"", text.substr(0, 200), "\": ", why,
                      " (expected unix:/path, http://host:port or https://host:port)"}));
}

Status parseHostAndPort(std::string_view text, std::string_view authority, Endpoint& endpoint) {
  std::string_view host = authority;
  std::optional<std::string_view> port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return badEndpoint(text, "'[' without ']'");
    host = authority.substr(1, close - 1);
    const std::string_view rest = authority.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return badEndpoint(text, "unexpected text after ']'");
    if (!rest.empty()) port = rest.substr(1);
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    if (port->find(':') != std::string_view::npos) {
      return badEndpoint(text, "an IPv6 address is written in brackets, as in http://[::1]:8080");
    }
  }
  if (host.empty()) return badEndpoint(text, "there is no host");
  if (host.size() > 253 || !std::all_of(host.begin(), host.end(), isHostCharacter)) {
    return badEndpoint(text, "the host is not a name or an address");
  }
  endpoint.host = host;
  if (port) {
    const auto value = parseNumber<std::uint16_t>(*port);
    if (!value || *value == 0) return badEndpoint(text, "the port is not a number from 1 to 65535");
    endpoint.port = *value;
  }
  return {};
}

}  // namespace

std::optional<std::string> percentDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hexDigit(text[i + 1]);
      const int low = hexDigit(text[i + 2]);
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    } else if (c == '\0') {
      return std::nullopt;
    }
    decoded.push_back(c);
  }
  return decoded;
}

std::string percentEncode(std::string_view text, bool keep_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (isUnreserved(c) || (keep_slash && c == '/')) {
      encoded.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

std::optional<QueryList> parseQuery(std::string_view query) {
  QueryList list;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (piece.empty()) continue;
    const auto equals = std::min(piece.find('='), piece.size());
    auto name = percentDecode(piece.substr(0, equals), true);
    auto value = percentDecode(piece.substr(std::min(equals + 1, piece.size())), true);
    if (!name || !value) return std::nullopt;
    list.emplace_back(std::move(*name), std::move(*value));
  }
  return list;
}

Result<Target> parseTarget(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.size() > scheme.size() && equalsIgnoringCase(text.substr(0, scheme.size()), scheme)) {
      text.remove_prefix(scheme.size());
      text.remove_prefix(std::min(text.find_first_of("/?"), text.size()));
      if (text.empty()) text = "/";
      break;
    }
  }
  if (text == "*") return Target{"*", {}};
  if (!text.starts_with('/'))
    return fail(ErrorCode::invalid_argument, "the request target does not begin with '/'");
  if (text.find('#') != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "the request target has a fragment ('#')");
  }
  const auto question = std::min(text.find('?'), text.size());
  auto path = percentDecode(text.substr(0, question));
  auto query = parseQuery(text.substr(std::min(question + 1, text.size())));
  if (!path || !query)
    return fail(ErrorCode::invalid_argument, "the request target has a bad percent-encoding");
  return Target{std::move(*path), std::move(*query)};
}

std::string formatTarget(std::string_view path, const QueryList& query) {
  std::string target = percentEncode(path, true);
  char separator = '?';
  for (const auto& [name, value] : query) {
    target += separator;
    target += percentEncode(name);
    target += '=';
    target += percentEncode(value);
    separator = '&';
  }
  return target;
}

std::string Endpoint::toString() const {
  if (kind == Kind::unix_socket) return "unix:" + path;
  const bool is_v6 = host.find(':') != std::string::npos;
  return strCat({kind == Kind::tls ? "https://" : "http://", is_v6 ? "[" : "", host, is_v6 ? "]" : "", ":",
                 std::to_string(port)});
}

Result<Endpoint> parseEndpoint(std::string_view text) {
  Endpoint endpoint;
  if (text.find('\0') != std::string_view::npos) return badEndpoint("", "it holds a NUL character");
  if (text.starts_with("unix:")) {
    endpoint.path = text.substr(5);
    if (!endpoint.path.starts_with('/')) return badEndpoint(text, "the socket's path is not absolute");
    return endpoint;
  }
  if (text.starts_with("http://")) {
    endpoint.kind = Endpoint::Kind::tcp;
    endpoint.port = 80;
    text.remove_prefix(7);
  } else if (text.starts_with("https://")) {
    endpoint.kind = Endpoint::Kind::tls;
    endpoint.port = 443;
    text.remove_prefix(8);
  } else {
    return badEndpoint(text, "the scheme is missing or unknown");
  }
  std::string_view authority = text;
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (authority.find('@') != std::string_view::npos) {
    return badEndpoint("…", "it must not hold a user name or password; use a token");
  }
  if (authority.find_first_of("/?#") != std::string_view::npos)
    return badEndpoint(text, "it must not have a path");
  BUOY_TRY_VOID(parseHostAndPort(text, authority, endpoint));
  return endpoint;
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equalsIgnoringCase(key, name)) return value;
  }
  return {};
}

std::string Request::queryValue(std::string_view name, std::string_view fallback) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::string(fallback);
}

}  // namespace buoy::net
