#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/node.h"
#include "base/result.h"
#include "gateways/front/members.h"

// What is an object of JSON has the same fields with the same values as the parser finds.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto members = gateways::front::membersOf(text);
  const auto parsed = api::parseJsonTree(text, api::kMessageLimits);
  if (!parsed || parsed->kind != api::Node::Kind::map) return 0;
  BUOY_CHECK(members && members->size() == parsed->items.size());
  for (std::size_t i = 0; i < members->size(); ++i) {
    const auto& [key, value] = (*members)[i];
    const api::Node& item = parsed->items[i];
    const auto alone = api::parseJsonTree(value, api::kMessageLimits);
    BUOY_CHECK(key == item.key && alone && api::toJson(*alone) == api::toJson(item));
    if (item.kind == api::Node::Kind::string) BUOY_CHECK(gateways::front::textOf(value) == item.text);
  }
  return 0;
}
