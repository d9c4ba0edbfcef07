#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "aws/credentials.h"
#include "net/http.h"

// What the services that give credentials have in common.
namespace buoy::aws {

// "https://host:port/path?query", taken apart.
struct ServiceUrl {
  net::Endpoint endpoint;
  std::string target = "/";        // path and query
  std::string hostHeader() const;  // without the port where it is the scheme's own
};
// invalid_argument, never with the URL's path or query: they may be secret.
Result<ServiceUrl> parseServiceUrl(std::string_view url);

// "127.…", "::1", "localhost".
bool isLoopback(std::string_view host);

// The JSON document of the metadata services and of credential_process: AccessKeyId, SecretAccessKey, Token
// or SessionToken, Expiration. `where` begins the message of an error, which never shows any of it.
Result<Credentials> parseCredentials(std::string_view json, const std::string& where);

// RFC 3339 with "Z" or an offset ("+00:00").
Result<Time> parseExpiration(std::string_view text);

}  // namespace buoy::aws
