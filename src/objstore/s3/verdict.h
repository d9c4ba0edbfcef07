#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "net/http.h"
#include "objstore/s3/xml.h"

namespace buoy::objstore::s3 {

// What a server's refusal means, and what can be done about it. Pure.
struct Verdict {
  enum class Next : std::uint8_t {
    give_up,
    later,             // as it is, after a while
    other_region,      // signed for `region` and sent to its endpoint
    other_clock,       // with the server's time
    other_credentials  // after the credentials were fetched anew
  };
  Next next = Next::give_up;
  Error error;
  std::string region;  // empty if none is named that could be one
  std::string code;    // what the server calls it: "NoSuchKey"; empty if it does not say
};

// `what`: "put s3://b/k"; `where`: the endpoint's name. `conditional`: the request had If-None-Match. A 2xx
// answer must be one that brings an error (bringsError): what the server did not know when it began to
// answer.
Verdict judge(const net::Response& response, const std::string& what, const std::string& where,
              bool conditional);

// What one of S3's error codes means by itself; `internal` if it is none that is known. `where`: for the
// message.
Error meaningOf(const ErrorAnswer& answer, const std::string& where);

// "Sat, 21 Nov 2026 05:03:40 GMT" (RFC 9110).
std::optional<Time> parseHttpDate(const std::string& text);

// The header of this name, case-insensitive; empty if there is none.
std::string headerOf(const net::Response& response, std::string_view name);

// Without quotes and "W/": some servers leave the quotes away.
std::string_view bareEtag(std::string_view etag);

// "bytes 0-9/443" (RFC 9110).
struct ContentRange {
  std::uint64_t first = 0, last = 0;
  std::optional<std::uint64_t> size;  // of the whole; nullopt: not told
};
std::optional<ContentRange> parseContentRange(std::string_view text);

}  // namespace buoy::objstore::s3
