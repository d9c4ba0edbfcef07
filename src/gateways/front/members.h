#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace buoy::gateways::front {

// A field of a JSON object as it stands in the text.
struct Member {
  std::string key;
  std::string_view value;  // a whole value, still JSON
};

// The fields of an object, in their order, for documents of our own that are mostly passed on: they are not
// read, only told apart, which costs a small part of a parse. Their values are checked no further than
// brackets and quotes. nullopt: the text is no such object. Pure; the text must outlive the result.
std::optional<std::vector<Member>> membersOf(std::string_view object);

// The value of a field; empty: there is none.
std::string_view valueOf(const std::vector<Member>& members, std::string_view key);

// What a JSON string says; empty: it is none.
std::string textOf(std::string_view json);

}  // namespace buoy::gateways::front
