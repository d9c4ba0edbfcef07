#pragma once

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
  std::string region;
};

// `what`: "put s3://b/k"; `where`: the endpoint's name. `conditional`: the request had If-None-Match.
Verdict judge(const net::Response& response, const std::string& what, const std::string& where,
              bool conditional);

// "Sat, 21 Nov 2026 05:03:40 GMT" (RFC 9110).
std::optional<Time> parseHttpDate(const std::string& text);

// The header of this name, case-insensitive; empty if there is none.
std::string headerOf(const net::Response& response, std::string_view name);

}  // namespace buoy::objstore::s3
