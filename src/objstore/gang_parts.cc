#include "objstore/gang_parts.h"

#include <algorithm>
#include <optional>

#include "base/parse_number.h"
#include "base/strings.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/list_pages.h"
#include "objstore/manifest.h"

namespace buoy::objstore {
namespace {

constexpr int kPartsPerPage = 1000;
constexpr std::uint64_t kMaxPartBytes = 512ull << 20;
constexpr std::string_view kEnded = "ended";
constexpr std::string_view kBegun = ".begun";

}  // namespace

std::string partsPrefix(Epoch epoch) {
  return strCat({"parts/", fixedWidth(epoch), "/"});
}

std::string GangParts::key(std::uint32_t rank, std::string_view name) const {
  return strCat({objects_, partsPrefix(epoch_), std::to_string(rank), "/", name});
}

Result<std::vector<GangParts::Heard>> GangParts::listen(std::uint32_t ranks) const {
  std::vector<Heard> heard(ranks);
  const std::string prefix = objects_ + partsPrefix(epoch_);
  BUOY_TRY_VOID(listPages(store_, prefix, [&](const auto& page) -> Status {
    for (const ObjectInfo& object : page) {
      const std::string_view below = std::string_view(object.key).substr(prefix.size());
      const auto slash = below.find('/');
      const auto rank = parseNumber<std::uint64_t>(below.substr(0, slash));
      if (slash == std::string_view::npos || !rank || *rank >= ranks) continue;
      std::string_view name = below.substr(slash + 1);
      Heard& from = heard[static_cast<std::size_t>(*rank)];
      if (name == kEnded) {
        from.ended = true;
        continue;
      }
      const bool begun = name.ends_with(kBegun);
      if (begun) name.remove_suffix(kBegun.size());
      std::uint64_t& newest = begun ? from.begun : from.saved;
      newest = std::max(newest, parseNumber<std::uint64_t>(name).value_or(0));
    }
    return {};
  }));
  return heard;
}

Result<Manifest> GangParts::read(std::uint32_t rank, std::uint64_t part) const {
  const auto named = [&](const Error& error) {
    return fail(error.wrap(strCat({"part ", std::to_string(part), " of rank ", std::to_string(rank)})));
  };
  auto content = store_.get(key(rank, fixedWidth(part)), kMaxPartBytes);
  if (!content) return named(content.error());
  auto slot = decodeSlot(*content);
  if (!slot) return named(slot.error());
  const Manifest& manifest = slot->manifest;
  if (slot->kind != Slot::Kind::part || manifest.rank != rank || manifest.version != part ||
      manifest.epoch != epoch_) {
    return named({ErrorCode::data_loss, "is a copy of something else", false});
  }
  return std::move(slot->manifest);
}

Status GangParts::begin(std::uint32_t rank, std::uint64_t part) {
  return store_.put(key(rank, strCat({fixedWidth(part), kBegun})), "");
}

Status GangParts::takeBack(std::uint32_t rank, std::uint64_t part) {
  return store_.remove(key(rank, strCat({fixedWidth(part), kBegun})));
}

Status GangParts::publish(const Manifest& part) {
  Slot slot;
  slot.kind = Slot::Kind::part;
  slot.manifest = part;
  return store_.put(key(part.rank, fixedWidth(part.version)), encodeSlot(slot));
}

Status GangParts::end(std::uint32_t rank) {
  return store_.put(key(rank, kEnded), "");
}

Status GangParts::forgetBelow(std::uint32_t rank, std::uint64_t part) {
  const std::string prefix = key(rank, "");
  BUOY_TRY(const auto objects, store_.list(prefix, "", kPartsPerPage));
  for (const ObjectInfo& object : objects) {
    const std::string_view name = std::string_view(object.key).substr(prefix.size());
    const auto its_number = parseNumber<std::uint64_t>(name.substr(0, std::min(name.find('.'), name.size())));
    if (its_number && *its_number < part) BUOY_TRY_VOID(store_.remove(object.key));
  }
  return {};
}

}  // namespace buoy::objstore
