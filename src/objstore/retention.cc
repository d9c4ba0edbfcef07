#include "objstore/retention.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/gang_parts.h"
#include "objstore/list_pages.h"
#include "objstore/sha256.h"
#include "os/crash_point.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kRemovedAtOnce = 1000;
constexpr std::size_t kEpochDigits = 20;
constexpr std::string_view kObjects = "objects/";
constexpr std::string_view kPacks = "packs/";

// "objects/<epoch>/<hash>", "objects/<epoch>.<rank>/<hash>" and the like: who stored it; nullopt if the key
// is something else, which is left alone.
std::optional<StoredBy> storedBy(std::string_view key, std::string_view prefix) {
  key.remove_prefix(std::min(prefix.size(), key.size()));
  const auto slash = key.find('/');
  if (slash == std::string_view::npos || !isSha256(key.substr(slash + 1))) return std::nullopt;
  const std::string_view folder = key.substr(0, slash);
  StoredBy by;
  (void)std::from_chars(folder.data(), folder.data() + std::min(folder.size(), kEpochDigits), by.epoch);
  if (folder.size() > kEpochDigits + 1)
    (void)std::from_chars(folder.data() + kEpochDigits + 1, folder.data() + folder.size(), by.rank);
  if (folder != storedByText(by)) return std::nullopt;
  return by;
}

void addObjects(const SlotLog& log, const Manifest& manifest, std::unordered_set<std::string>& keys) {
  for (const CheckpointFile& file : manifest.files) {
    for (const std::string& key : contentKeys(file)) keys.insert(log.key(key));
  }
}

// Slots that can be read, from first to tail, into `seen`. The newest one that cannot.
Result<std::optional<std::uint64_t>> readSlots(SlotLog& log, Epoch epoch, SeenSlots& seen) {
  std::optional<std::uint64_t> unreadable;
  BUOY_TRY(const std::uint64_t tail, log.tail());
  BUOY_TRY(const std::uint64_t first, log.first());
  seen.erase(seen.begin(), seen.lower_bound(first));
  for (std::uint64_t number = first; number <= tail; ++number) {
    if (seen.contains(number)) continue;
    auto slot = log.read(number);
    // Rank 0 of a gang removes slots while another rank reads.
    if (!slot && slot.error().code == ErrorCode::not_found) continue;
    if (!slot && slot.error().code != ErrorCode::data_loss &&
        slot.error().code != ErrorCode::invalid_argument) {
      return fail(slot.error());
    }
    if (!slot) {
      unreadable = number;
      continue;
    }
    if (slot->manifest.epoch > epoch) {
      return fail(ErrorCode::failed_precondition, "fenced: a later attempt has begun");
    }
    seen.emplace(number, std::move(*slot));
  }
  return unreadable;
}

// Of a store that is far away, many in one request.
template <class Keys>
Status removeAllBut(const std::unordered_set<std::string>& kept, const Keys& keys, ObjectStore& store,
                    const std::stop_token& stop) {
  const std::size_t at_once = store.pool() == nullptr ? 1 : kRemovedAtOnce;
  std::vector<std::string> some;
  const auto remove = [&]() -> Status {
    os::crashPoint("objstore.gc_step");
    return store.removeMany(std::exchange(some, {}), stop);
  };
  for (const std::string& key : keys) {
    if (kept.contains(key)) continue;
    some.push_back(key);
    if (some.size() == at_once) BUOY_TRY_VOID(remove());
  }
  return some.empty() ? Status{} : remove();
}

class Retention {
 public:
  Retention(SlotLog& log, const RetentionRequest& request, SeenSlots& seen)
      : log_(log), request_(request), seen_(seen) {}

  Status run() {
    // Objects are listed before the log is read: what a later epoch stores cannot be in the list, or its
    // fence is seen.
    if (request_.sweep) BUOY_TRY_VOID(listObjects());
    // An unreadable slot may name anything, so no object is removed while it counts.
    BUOY_TRY(unreadable_, readSlots(log_, request_.epoch, seen_));
    if (request_.stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (seen_.empty()) return {};
    choose();
    BUOY_TRY_VOID(removeSlots());
    return removeObjects();
  }

 private:
  // The other ranks of this attempt look after what they have stored themselves.
  bool othersWork(const StoredBy& by) const { return by.epoch == request_.epoch && by.rank != 0; }

  Status listObjects() {
    BUOY_TRY_VOID(listBelow(log_.key(std::string(kObjects))));
    BUOY_TRY_VOID(listBelow(log_.key(std::string(kPacks))));
    return listOldParts();
  }

  // What ranks of earlier attempts had to say concerns nobody any more.
  Status listOldParts() {
    const std::string own = log_.key(partsPrefix(request_.epoch));
    return listPages(log_.store(), log_.key("parts/"), [&](const auto& page) -> Status {
      for (const ObjectInfo& object : page) {
        if (object.key < own) candidates_.insert(object.key);
      }
      if (request_.stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
      return {};
    });
  }

  Status listBelow(const std::string& prefix) {
    return listPages(log_.store(), prefix, [&](const auto& page) -> Status {
      for (const ObjectInfo& object : page) {
        const auto by = storedBy(object.key, prefix);
        if (!by || by->epoch > request_.epoch || othersWork(*by)) continue;
        // Of this epoch: perhaps a commit under way (of an agent that runs twice) is about to name it.
        if (by->epoch == request_.epoch && request_.now - object.modified < request_.grace) continue;
        candidates_.insert(object.key);
      }
      return {};
    });
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
      if (slot.kind != Slot::Kind::commit) continue;
      // The version that the current attempt began from: its slower ranks may still want it.
      const bool base = !in_current_epoch && !base_kept;
      base_kept = base_kept || base;
      // Not by the time in its fence, which is another machine's clock.
      const bool young = request_.since_open < request_.grace;
      if (kept < request_.keep || (base && young)) {
        ++kept;
        lowest_kept_ = manifest.version;
        addObjects(log_, manifest, kept_objects_);
      } else {
        dropped_.push_back(&slot);
        addCandidates(manifest);
      }
    }
  }

  void addCandidates(const Manifest& manifest) {
    for (const CheckpointFile& file : manifest.files) {
      for (const std::string& key : contentKeys(file)) {
        const auto by = storedBy(key, file.packed ? kPacks : kObjects);
        if (by && !othersWork(*by)) candidates_.insert(log_.key(key));
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
    return removeAllBut(kept_objects_, candidates_, log_.store(), request_.stop);
  }

  SlotLog& log_;
  const RetentionRequest& request_;
  SeenSlots& seen_;
  std::optional<std::uint64_t> unreadable_;  // the newest such slot
  std::optional<std::uint64_t> lowest_kept_;
  std::vector<Slot*> dropped_;
  std::unordered_set<std::string> candidates_, kept_objects_;  // keys
};

// All keys below a prefix that only one rank stores under.
Status listAll(SlotLog& log, const std::string& prefix, std::vector<std::string>& keys) {
  return listPages(log.store(), prefix, [&](const auto& page) -> Status {
    for (const ObjectInfo& object : page) keys.push_back(object.key);
    return {};
  });
}

// The part of this rank that the newest version of its epoch holds; 0: none.
std::uint64_t newestUsed(const SeenSlots& seen, const StoredBy& self) {
  for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
    if (it->second.kind != Slot::Kind::commit || it->second.manifest.epoch != self.epoch) continue;
    for (const PartNumber& part : it->second.manifest.parts) {
      if (part.rank == self.rank) return part.number;
    }
  }
  return 0;
}

}  // namespace

Status applyPartRetention(SlotLog& log, const PartRetentionRequest& request) {
  SeenSlots seen;  // anew each time: rank 0 turns commits into marks
  std::vector<std::string> stored;
  const std::string by = storedByText(request.self) + "/";
  BUOY_TRY_VOID(listAll(log, log.key(strCat({kObjects, by})), stored));
  BUOY_TRY_VOID(listAll(log, log.key(strCat({kPacks, by})), stored));
  BUOY_TRY(const auto unreadable, readSlots(log, request.self.epoch, seen));
  auto& parts = *request.parts;
  // A version to come is made of the part that the newest one holds, or of a later one.
  parts.erase(parts.begin(), parts.lower_bound(newestUsed(seen, request.self)));
  std::unordered_set<std::string> kept;
  for (const auto& [number, slot] : seen) addObjects(log, slot.manifest, kept);
  for (const auto& [number, keys] : parts) {
    for (const std::string& key : keys) kept.insert(log.key(key));
  }
  if (unreadable) return {};
  return removeAllBut(kept, stored, log.store(), request.stop);
}

Status applyRetention(SlotLog& log, const RetentionRequest& request, SeenSlots& seen) {
  return Retention(log, request, seen).run();
}

}  // namespace buoy::objstore
