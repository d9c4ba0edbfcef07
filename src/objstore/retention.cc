#include "objstore/retention.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "objstore/sha256.h"
#include "os/crash_point.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kObjectName = 20 + 1 + 64;  // epoch, '/', hash

// "objects/<epoch>/<hash>" and the like: the epoch; nullopt if the key is something else, which is left
// alone.
std::optional<Epoch> epochOfObject(std::string_view key, std::string_view prefix) {
  key.remove_prefix(std::min(prefix.size(), key.size()));
  if (key.size() != kObjectName || key[20] != '/' || !isSha256(key.substr(21))) return std::nullopt;
  Epoch epoch = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + 20, epoch);
  if (error != std::errc{} || end != key.data() + 20) return std::nullopt;
  return epoch;
}

void addObjects(const SlotLog& log, const Manifest& manifest, std::unordered_set<std::string>& keys) {
  for (const CheckpointFile& file : manifest.files) {
    for (const std::string& key : contentKeys(file)) keys.insert(log.key(key));
  }
}

class Retention {
 public:
  Retention(SlotLog& log, const RetentionRequest& request, SeenSlots& seen)
      : log_(log), request_(request), seen_(seen) {}

  Status run() {
    // Objects are listed before the log is read: what a later epoch stores cannot be in the list, or its
    // fence is seen.
    if (request_.sweep) BUOY_TRY_VOID(listObjects());
    BUOY_TRY_VOID(readLog());
    if (seen_.empty()) return {};
    choose();
    BUOY_TRY_VOID(removeSlots());
    return removeObjects();
  }

 private:
  Status listObjects() {
    BUOY_TRY_VOID(listBelow(log_.key("objects/")));
    return listBelow(log_.key("packs/"));
  }

  Status listBelow(const std::string& prefix) {
    constexpr int kPage = 10'000;
    std::string after;
    for (;;) {
      BUOY_TRY(auto page, log_.store().list(prefix, after, kPage));
      for (const ObjectInfo& object : page) {
        const auto epoch = epochOfObject(object.key, prefix);
        if (!epoch || *epoch > request_.epoch) continue;
        // Of this epoch: perhaps a commit under way (of an agent that runs twice) is about to name it.
        if (*epoch == request_.epoch && request_.now - object.modified < request_.grace) continue;
        candidates_.insert(object.key);
      }
      if (page.size() < static_cast<std::size_t>(kPage)) return {};
      after = page.back().key;
    }
  }

  Status readLog() {
    BUOY_TRY(const std::uint64_t tail, log_.tail());
    BUOY_TRY(const std::uint64_t first, log_.first());
    seen_.erase(seen_.begin(), seen_.lower_bound(first));
    for (std::uint64_t number = first; number <= tail; ++number) {
      if (seen_.contains(number)) continue;
      auto slot = log_.read(number);
      if (!slot && slot.error().code != ErrorCode::data_loss &&
          slot.error().code != ErrorCode::invalid_argument) {
        return fail(slot.error());
      }
      // Unreadable: it may name anything, so no object is removed while it counts.
      if (!slot) {
        unreadable_ = number;
        continue;
      }
      if (slot->manifest.epoch > request_.epoch) {
        return fail(ErrorCode::failed_precondition, "fenced: a later attempt has begun");
      }
      seen_.emplace(number, std::move(*slot));
    }
    return {};
  }

  void choose() {
    int kept = 0;
    bool base_kept = false;
    bool in_current_epoch = true;
    const Epoch newest = seen_.rbegin()->second.manifest.epoch;
    for (auto it = seen_.rbegin(); it != seen_.rend(); ++it) {
      Slot& slot = it->second;
      const Manifest& manifest = slot.manifest;
      if (manifest.epoch != newest) in_current_epoch = false;
      if (slot.kind == Slot::Kind::fence && in_current_epoch) fence_ = manifest;
      if (slot.kind != Slot::Kind::commit) continue;
      // The version that the current attempt began from: its slower ranks may still want it.
      const bool base = !in_current_epoch && !base_kept;
      base_kept = base_kept || base;
      const bool young = fence_ && request_.now - fence_->created < request_.grace;
      if (kept < request_.keep || (base && young)) {
        ++kept;
        lowest_kept_ = manifest.version;
        addObjects(log_, manifest, kept_objects_);
      } else {
        dropped_.push_back(&slot);
        addObjects(log_, manifest, candidates_);
      }
    }
  }

  Status removeSlots() {
    // Without any commit the newest slot alone says which epoch is current.
    const std::uint64_t first = lowest_kept_.value_or(seen_.rbegin()->first);
    for (Slot* slot : dropped_) {
      if (slot->manifest.version < first) continue;
      BUOY_TRY_VOID(log_.markRemoved(*slot));
      slot->kind = Slot::Kind::removed;
      slot->manifest.files.clear();
    }
    if (unreadable_ && *unreadable_ < first) unreadable_.reset();
    return log_.advance(first);
  }

  Status removeObjects() {
    if (unreadable_) return {};
    for (const std::string& key : candidates_) {
      if (kept_objects_.contains(key)) continue;
      os::crashPoint("objstore.gc_step");
      BUOY_TRY_VOID(log_.store().remove(key));
    }
    return {};
  }

  SlotLog& log_;
  const RetentionRequest& request_;
  SeenSlots& seen_;
  std::optional<std::uint64_t> unreadable_;  // the newest such slot
  std::optional<Manifest> fence_;            // of the newest epoch
  std::optional<std::uint64_t> lowest_kept_;
  std::vector<Slot*> dropped_;
  std::unordered_set<std::string> candidates_, kept_objects_;  // keys
};

}  // namespace

Status applyRetention(SlotLog& log, const RetentionRequest& request, SeenSlots& seen) {
  return Retention(log, request, seen).run();
}

}  // namespace buoy::objstore
