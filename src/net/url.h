#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

// Percent-encoding and request targets. Pure; any thread.
namespace buoy::net {

using QueryList = std::vector<std::pair<std::string, std::string>>;

// nullopt if a '%' is not followed by two hexadecimal digits, or stands for a NUL (nothing here has a use for
// one, and it cuts C strings short). `plus_is_space`: as in a query.
std::optional<std::string> percentDecode(std::string_view text, bool plus_is_space = false);

// Everything but the unreserved characters (letters, digits, "-._~") is encoded; '/' too, unless
// `keep_slash`.
std::string percentEncode(std::string_view text, bool keep_slash = false);

// "a=1&b" in order, decoded; nullopt where percentDecode says so. Empty pieces ("a&&b") are left out.
std::optional<QueryList> parseQuery(std::string_view query);

struct Target {
  std::string path;  // decoded
  QueryList query;   // decoded, in order
};
// "/path?query", "http://host/path?query" or "*"; a fragment is an error, as is anything else.
Result<Target> parseTarget(std::string_view text);

// The reverse: what goes on the wire for a decoded path and query.
std::string formatTarget(std::string_view path, const QueryList& query);

}  // namespace buoy::net
