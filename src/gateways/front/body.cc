#include "gateways/front/body.h"

namespace buoy::gateways::front {
namespace {

constexpr api::TreeLimits kLimits{.bytes = std::size_t{1} << 20, .nodes = 50'000, .depth = 32};

const api::Node& nothing() {
  static const api::Node empty{.kind = api::Node::Kind::map};
  return empty;
}

}  // namespace

Result<Body> Body::parse(std::string_view text) {
  auto root = api::parseJsonTree(text.empty() ? "{}" : text, kLimits);
  if (!root) return fail(ErrorCode::invalid_argument, "the body: " + root.error().front().toString());
  if (root->kind != api::Node::Kind::map)
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object");
  return Body(std::move(*root));
}

Body Body::partOf(const Body& whole, std::string_view key) {
  const api::Node* const part = whole.root().find(key);
  return Body(part == nullptr || part->kind != api::Node::Kind::map ? nothing() : *part);
}

api::MapReader Body::fields(const api::Node* node, std::string path) {
  return {problems_, node == nullptr ? nothing() : *node, std::move(path)};
}

Status Body::check() {
  if (problems_.empty()) return {};
  return fail(ErrorCode::invalid_argument, problems_.take().front().toString());
}

std::string textOf(const api::Node& map, std::string_view key) {
  const api::Node* const found = map.find(key);
  const std::string* const text = found == nullptr ? nullptr : api::scalarText(*found);
  return text == nullptr ? std::string() : *text;
}

}  // namespace buoy::gateways::front
