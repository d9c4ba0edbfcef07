#include "gateways/batch/node_view.h"

#include "base/parse_number.h"
#include "gateways/front/body.h"

namespace buoy::gateways::batch {

std::optional<NodeView> nodeOf(const engine::Job& job, std::string_view properties, std::uint32_t index) {
  const auto count = static_cast<std::uint32_t>(job.request.machines);
  if (count < 2 || index >= count) return std::nullopt;
  NodeView node{.index = index, .rank = index, .container = {}};
  const auto kept = front::Body::parse(properties);
  if (!kept) return node;
  const std::uint32_t main = parseNumber<std::uint32_t>(front::textOf(kept->root(), "mainNode")).value_or(0);
  node.rank = (index + count - main % count) % count;
  std::uint32_t narrowest = count;  // speaks for it, as when it was submitted
  const auto look = [&](const api::Node& range) -> Status {
    const std::string targets = front::textOf(range, "targetNodes");
    const auto colon = targets.find(':');
    if (colon == std::string::npos) return {};
    const auto first = parseNumber<std::uint32_t>(std::string_view(targets).substr(0, colon));
    const auto last = parseNumber<std::uint32_t>(std::string_view(targets).substr(colon + 1));
    const api::Node* const container = range.find("container");
    if (!first || !last || index < *first || index > *last || *last - *first >= narrowest || !container)
      return {};
    narrowest = *last - *first;
    node.container = api::toJson(*container);
    return {};
  };
  (void)front::forEachMap(kept->root().find("nodeRangeProperties"), "nodeRangeProperties", look);
  return node;
}

}  // namespace buoy::gateways::batch
