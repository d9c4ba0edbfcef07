#include "sim/checkpoint_log.h"

namespace buoy::sim {

bool SlotLog::claim(std::uint64_t number, const Slot& slot) {
  if (number != tail() + 1) return false;
  slots_.push_back(slot);
  return true;
}

void SlotLog::retain() {
  std::size_t keep = slots_.size();
  for (int commits = 0; keep > 0 && commits < 2;) {
    --keep;
    if (!slots_[keep].fence) ++commits;
  }
  first_ += keep;
  slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(keep));
}

CheckpointWriter::Answer CheckpointWriter::open(SlotLog& log) {
  std::optional<std::uint64_t> own;
  for (std::uint64_t number = log.tail(); number >= log.first(); --number) {
    const SlotLog::Slot& slot = log.read(number);
    if (slot.epoch > epoch_) return Answer::fenced;
    if (slot.fence && slot.epoch == epoch_) own = number;
    if (slot.epoch < epoch_) break;
  }
  seen_ = log.tail();
  if (!own) {
    const SlotLog::Slot fence{.fence = true, .epoch = epoch_, .done = {}};
    if (claim(log, fence) == Answer::fenced) return Answer::fenced;
    own = seen_;
  }
  base_.reset();
  for (std::uint64_t number = *own - 1; number >= log.first() && !base_; --number) {
    const SlotLog::Slot& slot = log.read(number);
    if (!slot.fence) base_ = Committed{number, slot.done};
  }
  return Answer::done;
}

CheckpointWriter::Answer CheckpointWriter::commit(SlotLog& log, Duration done) {
  const Answer answer = claim(log, {.fence = false, .epoch = epoch_, .done = done});
  if (answer == Answer::done) last_ = seen_;
  return answer;
}

CheckpointWriter::Answer CheckpointWriter::claim(SlotLog& log, const SlotLog::Slot& slot) {
  while (!log.claim(seen_ + 1, slot)) {
    // Retention may have removed what was never read: then later epochs have passed.
    if (seen_ + 1 < log.first()) return Answer::fenced;
    if (log.read(++seen_).epoch > epoch_) return Answer::fenced;
  }
  ++seen_;
  return Answer::done;
}

}  // namespace buoy::sim
