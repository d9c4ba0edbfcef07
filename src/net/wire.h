#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

// What goes onto the wire. Pure but for the Date header; any thread.
namespace buoy::net {

std::string_view reasonPhrase(int status);
// Whether an answer with this status has a body at all.
bool statusHasBody(int status);

enum class Framing { length, chunked, until_close };

struct HeadOptions {
  bool http10 = false;
  bool keep_alive = true;
  Framing framing = Framing::length;
  std::size_t length = 0;  // for Framing::length
};
// Appends the status line and the header of an answer. Control characters in header values become spaces, and
// headers that say how the message is framed are left out: they are written here.
void appendResponseHead(std::string& out, const Response& response, const HeadOptions& options);

void appendChunk(std::string& out, std::string_view data);  // `data` not empty: an empty chunk is the end
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// The request line and header. invalid_argument if the method, target or a header could be read as something
// else. A target that is empty is made from path and query.
Result<std::string> formatRequestHead(const Request& request, std::string_view host,
                                      std::string_view bearer_token, std::uint64_t body_size);

}  // namespace buoy::net
