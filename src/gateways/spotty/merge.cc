#include "gateways/spotty/merge.h"

#include <algorithm>

#include "gateways/spotty/section.h"

namespace buoy::gateways::spotty {
namespace {

void moveLines(api::Node& node) {
  for (api::Mark* const mark : {&node.mark, &node.key_mark}) {
    if (mark->line > 0) mark->line += kOverrideLines;
  }
  for (api::Node& item : node.items) moveLines(item);
}

std::string nameOf(const api::Node& item, std::string_view usual) {
  const api::Node* const name = item.find("name");
  const std::string* const text = name == nullptr ? nullptr : api::scalarText(*name);
  return std::string(text == nullptr ? usual : *text);
}

void mergeNodes(api::Node& base, api::Node over);

void mergeNamed(api::Node& base, api::Node over, std::string_view usual) {
  for (api::Node& item : over.items) {
    const auto same = std::find_if(base.items.begin(), base.items.end(), [&](const api::Node& there) {
      return nameOf(there, usual) == nameOf(item, usual);
    });
    if (same == base.items.end()) {
      base.items.push_back(std::move(item));
    } else {
      mergeNodes(*same, std::move(item));
    }
  }
}

void mergeNodes(api::Node& base, api::Node over) {
  if (base.kind != api::Node::Kind::map || over.kind != api::Node::Kind::map) {
    base = std::move(over);
    return;
  }
  for (api::Node& item : over.items) {
    const auto same = std::find_if(base.items.begin(), base.items.end(),
                                   [&](const api::Node& there) { return there.key == item.key; });
    if (same == base.items.end()) {
      base.items.push_back(std::move(item));
    } else {
      mergeNodes(*same, std::move(item));
    }
  }
}

}  // namespace

void mergeOverride(api::Node& base, api::Node over) {
  moveLines(over);
  if (base.kind == api::Node::Kind::map && over.kind == api::Node::Kind::map) {
    for (const auto& [key, usual] : {std::pair{"containers", "default"}, std::pair{"instances", ""}}) {
      const auto at = [key = std::string_view(key)](api::Node& map) {
        return std::find_if(map.items.begin(), map.items.end(), [&](const api::Node& item) {
          return item.key == key && item.kind == api::Node::Kind::list;
        });
      };
      const auto mine = at(base), others = at(over);
      if (mine == base.items.end() || others == over.items.end()) continue;
      mergeNamed(*mine, std::move(*others), usual);
      over.items.erase(others);
    }
  }
  mergeNodes(base, std::move(over));
}

}  // namespace buoy::gateways::spotty
