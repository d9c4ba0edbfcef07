#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "objstore/manifest.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// The append-only sequence of slots below a prefix. Slots are numbered from 1 without a gap, except that
// retention removes a beginning of the sequence: slots below first(). Not thread-safe; any number of
// processes may use the same log.
class SlotLog {
 public:
  SlotLog(ObjectStore& store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  // The lowest slot that counts, 1 at the beginning. Never goes down.
  Result<std::uint64_t> first();

  // The highest slot that is taken, 0 if none: a number of questions that grows with the logarithm of the
  // slots since the last call.
  Result<std::uint64_t> tail();

  // not_found: removed, or not taken yet. Other errors as decodeSlot says.
  Result<Slot> read(std::uint64_t number);

  enum class Claim : std::uint8_t {
    claimed,
    taken,  // somebody was first: read the slot
    stale,  // the slot was taken and removed long ago: whoever claims it has slept through later ones
  };
  // Takes the slot that slot.manifest.version names, which must be the one after the highest that the caller
  // has read.
  Result<Claim> claim(const Slot& slot);

  // Replaces a commit by a mark, so that its number stays taken.
  Status markRemoved(const Slot& slot);

  // From now on slots below `first` do not count; they are removed. `first` must be a slot that is taken.
  Status advance(std::uint64_t first);

  ObjectStore& store() { return store_; }
  std::string key(const std::string& below) const { return prefix_ + below; }

 private:
  Result<bool> exists(std::uint64_t number);
  Result<std::string> fetch(std::uint64_t number);

  ObjectStore& store_;
  std::string prefix_;  // "" or ends with '/'
  std::uint64_t known_tail_ = 0;
  std::uint64_t advanced_to_ = 0;  // everything below was removed by this object
};

}  // namespace buoy::objstore
