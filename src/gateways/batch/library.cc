#include "gateways/batch/library.h"

#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::gateways::batch {
namespace {

constexpr api::TreeLimits kLimits{.bytes = std::size_t{4} << 20, .nodes = 100'000, .depth = 40};
constexpr std::size_t kRevisionDigits = 10;

std::uint32_t revisionIn(std::string_view key) {
  return parseNumber<std::uint32_t>(key.substr(key.rfind(':') + 1)).value_or(0);
}

}  // namespace

std::string definitionKey(std::string_view name, std::uint32_t revision) {
  const std::string digits = std::to_string(revision);
  return strCat(
      {name, ":", std::string(kRevisionDigits - std::min(kRevisionDigits, digits.size()), '0'), digits});
}

Status Library::load(const std::vector<store::Resource>& resources) {
  for (const store::Resource& resource : resources) BUOY_TRY_VOID(put(resource));
  return {};
}

Status Library::put(const store::Resource& resource) {
  const auto shelves = shelves_.lock();
  if (resource.body.empty()) {
    shelves->by_kind[resource.kind].erase(resource.name);
    return {};
  }
  auto tree = api::parseJsonTree(resource.body, kLimits);
  if (!tree) return fail(ErrorCode::data_loss, strCat({resource.kind, " ", resource.name, " is damaged"}));
  shelves->by_kind[resource.kind][resource.name] = std::make_shared<const api::Node>(std::move(*tree));
  if (resource.kind == kDefinition) {
    auto& last = shelves->last_revision[resource.name.substr(0, resource.name.rfind(':'))];
    last = std::max(last, revisionIn(resource.name));
  }
  return {};
}

Library::Document Library::find(std::string_view kind, std::string_view name) {
  const auto shelves = shelves_.lock();
  const auto shelf = shelves->by_kind.find(kind);
  if (shelf == shelves->by_kind.end()) return nullptr;
  const auto found = shelf->second.find(name);
  return found == shelf->second.end() ? nullptr : found->second;
}

std::vector<Library::Entry> Library::list(std::string_view kind, std::string_view prefix,
                                          std::string_view after, std::size_t most) {
  std::vector<Entry> entries;
  const auto shelves = shelves_.lock();
  const auto shelf = shelves->by_kind.find(kind);
  if (shelf == shelves->by_kind.end()) return entries;
  auto it = after > prefix ? shelf->second.upper_bound(after) : shelf->second.lower_bound(prefix);
  for (; it != shelf->second.end() && entries.size() < most && it->first.starts_with(prefix); ++it)
    entries.push_back({it->first, it->second});
  return entries;
}

std::uint32_t Library::nextRevision(const std::string& definition) {
  return shelves_.withLock([&](Shelves& shelves) { return ++shelves.last_revision[definition]; });
}

}  // namespace buoy::gateways::batch
