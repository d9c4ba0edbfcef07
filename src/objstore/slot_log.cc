#include "objstore/slot_log.h"

#include <algorithm>

#include "base/parse_number.h"
#include "objstore/checkpoint_keys.h"
#include "os/crash_point.h"

namespace buoy::objstore {
namespace {

// "first/<20 digits>": the highest one counts. Two are kept, so that a listing that runs while one is
// replaced sees one.
constexpr std::string_view kFirst = "first/";
constexpr std::size_t kFirstKept = 2;
constexpr int kSlotsPerPage = 1000;
constexpr std::uint64_t kMaxSlotBytes = 512ull << 20;

// The number at the end of a key of fixed width; 0 if it is something else.
std::uint64_t numberOf(const std::string& key, std::size_t prefix) {
  const std::string_view digits = std::string_view(key).substr(std::min(prefix, key.size()));
  return digits.size() == 20 ? parseNumber<std::uint64_t>(digits).value_or(0) : 0;
}

}  // namespace

Result<std::uint64_t> SlotLog::first() {
  const std::string prefix = key(std::string(kFirst));
  BUOY_TRY(const auto marks, store_.list(prefix, "", kSlotsPerPage));
  std::uint64_t first = 1;
  for (const ObjectInfo& mark : marks) first = std::max(first, numberOf(mark.key, prefix.size()));
  return first;
}

Result<bool> SlotLog::exists(std::uint64_t number) {
  const auto head = store_.head(key(slotKey(number)));
  if (head) return true;
  if (head.error().code == ErrorCode::not_found) return false;
  return fail(head.error().wrap("read the checkpoint log"));
}

Result<std::uint64_t> SlotLog::tail() {
  BUOY_TRY(const std::uint64_t first_slot, first());
  // `low` is taken (or nothing is); gallop to a free slot, then halve the distance.
  std::uint64_t low = std::max(known_tail_, first_slot - 1);
  std::uint64_t step = 1;
  for (;; step *= 2) {
    BUOY_TRY(const bool taken, exists(low + step));
    if (!taken) break;
    low += step;
  }
  std::uint64_t high = low + step;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    BUOY_TRY(const bool taken, exists(middle));
    (taken ? low : high) = middle;
  }
  known_tail_ = low;
  return low;
}

// A refusal of the store says nothing about the slot; it must not be taken for a damaged one.
Result<std::string> SlotLog::fetch(std::uint64_t number) {
  auto content = store_.get(key(slotKey(number)), kMaxSlotBytes);
  if (!content && content.error().code == ErrorCode::invalid_argument)
    return fail(ErrorCode::internal, content.error().message);
  return content;
}

Result<Slot> SlotLog::read(std::uint64_t number) {
  BUOY_TRY(std::string content, fetch(number));
  auto slot = decodeSlot(content);
  if (!slot && slot.error().code == ErrorCode::data_loss) {
    // It may have been changed on its way.
    BUOY_TRY(content, fetch(number));
    slot = decodeSlot(content);
  }
  if (!slot) return fail(slot.error().wrap("checkpoint log slot " + std::to_string(number)));
  if (slot->manifest.version != number) {
    return fail(ErrorCode::data_loss,
                "checkpoint log slot " + std::to_string(number) + " is a copy of another slot");
  }
  return slot;
}

Result<SlotLog::Claim> SlotLog::claim(const Slot& slot) {
  const std::uint64_t number = slot.manifest.version;
  const Status put = store_.putIfAbsent(key(slotKey(number)), encodeSlot(slot));
  if (!put && put.error().code == ErrorCode::already_exists) return Claim::taken;
  if (!put) return fail(put.error().wrap("write the checkpoint log"));
  // Slots below the first are free again though they were taken once. They become free only after the mark
  // that says so, so whoever got one sees the mark now.
  BUOY_TRY(const std::uint64_t first_slot, first());
  if (number >= first_slot) return Claim::claimed;
  (void)store_.remove(key(slotKey(number)));
  return Claim::stale;
}

Status SlotLog::markRemoved(const Slot& slot) {
  Slot mark = slot;
  mark.kind = Slot::Kind::removed;
  mark.manifest.files.clear();
  os::crashPoint("objstore.gc_step");
  return store_.put(key(slotKey(slot.manifest.version)), encodeSlot(mark));
}

Status SlotLog::advance(std::uint64_t first_slot) {
  if (first_slot == advanced_to_) return {};
  const std::string marks_prefix = key(std::string(kFirst));
  BUOY_TRY(auto marks, store_.list(marks_prefix, "", kSlotsPerPage));
  const std::string mark = marks_prefix + fixedWidth(first_slot);
  if (marks.empty() || marks.back().key < mark) {
    os::crashPoint("objstore.gc_step");
    const Status put = store_.putIfAbsent(mark, "");
    if (!put && put.error().code != ErrorCode::already_exists) return put;
    for (std::size_t i = 0; i + kFirstKept <= marks.size(); ++i) {
      os::crashPoint("objstore.gc_step");
      BUOY_TRY_VOID(store_.remove(marks[i].key));
    }
  }
  const std::string log_prefix = key("log/");
  for (;;) {
    BUOY_TRY(const auto slots, store_.list(log_prefix, "", kSlotsPerPage));
    std::size_t removed = 0;
    for (const ObjectInfo& slot : slots) {
      const std::uint64_t number = numberOf(slot.key, log_prefix.size());
      if (number == 0 || number >= first_slot) continue;
      os::crashPoint("objstore.gc_step");
      BUOY_TRY_VOID(store_.remove(slot.key));
      ++removed;
    }
    if (removed == 0 || slots.size() < static_cast<std::size_t>(kSlotsPerPage)) {
      advanced_to_ = first_slot;
      return {};
    }
  }
}

}  // namespace buoy::objstore
