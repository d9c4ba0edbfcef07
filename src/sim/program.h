#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "sim/checkpoint_log.h"

namespace buoy::sim {

// What a job's program does, and how long everything takes.
struct JobPlan {
  Duration work{600'000'000};       // with all members running
  Duration prepare{5'000'000};      // sources and inputs
  Duration restore{5'000'000};      // a checkpoint, where there is one
  Duration save_every{60'000'000};  // zero: it has no checkpoints and begins anew each time
  Duration save{2'000'000};         // one version
  Duration leave{1'000'000};        // from the signal to its exit
  std::uint32_t failures = 0;       // so many times it exits with 1 instead of going on past `fails_at`
  Duration fails_at{};
  bool breaks_with_peer = false;  // exits with 1 soon after a peer has gone, else it waits
  // JobRequest::main_decides: what the others do when all is done. Only rank 0 fails by itself.
  enum class Others : std::uint8_t { exit, stay, fail };
  Others others = Others::exit;
};

// One job as it really is: what its processes have done, wherever they run, and what its log holds. The
// processes of one epoch go on together: work is done while all of them run.
class Program {
 public:
  struct Run {
    Epoch epoch = 0;
    std::vector<MachineId> members;  // whose process runs
    bool whole = false;
    bool finished = false;  // all is done: whoever still runs exits with 0
    Duration done{};        // up to `since`
    Time since{};           // zero: it does not go on
  };

  JobPlan plan;
  std::size_t machines = 1;
  bool main_decides = false;
  SlotLog log;
  std::uint32_t failures_left = 0;
  Duration furthest{};     // the most that any process has done
  bool completed = false;  // a process has done all of it
  bool over = false;       // the control plane says that the job has finished

  Run* find(Epoch epoch);
  // The process of `member` begins; rank 0 brings what the checkpoint had.
  Run& enter(Epoch epoch, MachineId member, std::optional<Duration> restored, Time now);
  // The process of `member` runs no more. Nothing if it did not.
  void leave(Epoch epoch, MachineId member, Time now);
  Duration done(const Run& run, Time now) const;
  // When the processes of this run end by themselves: all done, or failing. Nullopt: not while it stands
  // still.
  std::optional<Time> endOf(const Run& run) const;
  bool failsNext(const Run& run) const;

 private:
  std::vector<Run> runs_;
};

}  // namespace buoy::sim
