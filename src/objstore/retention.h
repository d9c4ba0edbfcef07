#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/slot_log.h"

namespace buoy::objstore {

struct RetentionRequest {
  Epoch epoch = 0;  // ours
  int keep = 1;
  Duration grace{};
  Duration since_open{};  // how long this attempt has been looking at the log
  Time now{};             // by the clock of the store
  bool sweep = false;     // also look for objects that no version ever named
  std::stop_token stop = {};
};

// What a rank other than 0 keeps besides what versions name: its parts, of which versions may yet be made.
struct PartRetentionRequest {
  StoredBy self;
  // Number of a part to the keys of what it names, below the checkpoints' prefix. Those that no later version
  // can be made of are taken out.
  std::map<std::uint64_t, std::vector<std::string>>* parts = nullptr;
  std::stop_token stop = {};
};

// Readable slots that an earlier call has read, by number: each is read once. Nobody but retention changes a
// slot.
using SeenSlots = std::map<std::uint64_t, Slot>;

// What CheckpointRepository::retain promises. failed_precondition: a later epoch has begun; nothing was
// removed. cancelled: the rest is for the next time.
Status applyRetention(SlotLog& log, const RetentionRequest& request, SeenSlots& seen);

// The same for what a rank other than 0 has stored in its epoch, which nobody else removes while that is the
// newest.
Status applyPartRetention(SlotLog& log, const PartRetentionRequest& request);

}  // namespace buoy::objstore
