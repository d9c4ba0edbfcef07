#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "null_store.h"

namespace buoy::bench {

// What the null server takes from a request's head; all else is ignored.
struct Request {
  std::string method;
  std::string name;  // "bucket/key", decoded
  std::string bucket;
  Query query;
  std::uint64_t length = 0;
  std::uint64_t decoded_length = 0;  // of an aws-chunked body: what is in it
  std::optional<std::string> range;
  std::string metadata;
  bool expects = false;
  bool only_if_none = false;  // If-None-Match: *
};

std::uint64_t number(std::string_view text);
Request parseHead(std::string_view head);

}  // namespace buoy::bench
