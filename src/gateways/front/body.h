#pragma once

#include <string>
#include <string_view>

#include "api/node.h"
#include "api/reader.h"
#include "base/result.h"

namespace buoy::gateways::front {

// A request's body, or a document that was kept. Fields that nobody asks for are ignored, as AWS does; of
// wrong ones check() tells the first.
class Body {
 public:
  // invalid_argument: no JSON object, or beyond the limits (1 MiB, 50,000 values, 32 deep). Empty text is {}.
  static Result<Body> parse(std::string_view text);

  // The part of `whole` at `key`, as a body of its own; {} if there is none.
  static Body partOf(const Body& whole, std::string_view key);

  api::MapReader fields() { return {problems_, root_, {}}; }
  // The fields of a part, or of nothing.
  api::MapReader fields(const api::Node* node, std::string path);
  const api::Node& root() const { return root_; }
  Status check();

 private:
  explicit Body(api::Node root) : root_(std::move(root)) {}
  api::Node root_;
  api::Problems problems_{std::string()};
};

// Where each item of the map or list `node` is itself a map: calls visit(item). Others are a problem of
// `field`.
template <class Visit>
Status forEachMap(const api::Node* node, std::string_view field, Visit visit) {
  if (node == nullptr) return {};
  for (const api::Node& item : node->items) {
    if (item.kind != api::Node::Kind::map)
      return fail(ErrorCode::invalid_argument, std::string(field) + ": must be a list of objects");
    BUOY_TRY_VOID(visit(item));
  }
  return {};
}
// The text of a scalar in a map; empty: it is not there.
std::string textOf(const api::Node& map, std::string_view key);

}  // namespace buoy::gateways::front
