#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/units.h"

// A job's checkpoint log as docs/formats/checkpoint.md describes it, with the work done in place of files.
namespace buoy::sim {

// The store's side: slots numbered from 1, each claimed once by whoever comes first.
class SlotLog {
 public:
  struct Slot {
    bool fence = false;
    Epoch epoch = 0;
    Duration done{};  // of a commit: the work that is in it
  };
  std::uint64_t tail() const { return first_ + slots_.size() - 1; }
  std::uint64_t first() const { return first_; }
  const Slot& read(std::uint64_t number) const { return slots_[number - first_]; }
  // False: the slot is taken.
  bool claim(std::uint64_t number, const Slot& slot);
  // Forgets the slots below the newest commit but one, where nothing needs them any more.
  void retain();

 private:
  std::uint64_t first_ = 1;
  std::vector<Slot> slots_;
};

// One attempt's side: it knows what it has read and nothing else, so that it can be late.
class CheckpointWriter {
 public:
  CheckpointWriter() = default;
  explicit CheckpointWriter(Epoch epoch) : epoch_(epoch) {}

  enum class Answer : std::uint8_t { done, fenced };
  struct Committed {
    std::uint64_t version = 0;
    Duration done{};
  };

  // Claims the fence of this epoch and finds the newest commit before it. May be called again, by any rank.
  Answer open(SlotLog& log);
  const std::optional<Committed>& base() const { return base_; }
  // Rank 0 only. The version is in last().
  Answer commit(SlotLog& log, Duration done);
  std::uint64_t last() const { return last_; }

 private:
  Answer claim(SlotLog& log, const SlotLog::Slot& slot);

  Epoch epoch_ = 0;
  std::uint64_t seen_ = 0;  // the highest slot that was read
  std::uint64_t last_ = 0;
  std::optional<Committed> base_;
};

}  // namespace buoy::sim
