#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/checkpoint_watch.h"
#include "agent/worker.h"
#include "objstore/checkpoint.h"
#include "objstore/mirror.h"

namespace buoy::agent {

// Commits a job's checkpoint directory while the job runs, and once more when it has ended. A commit begins
// when no file is being written and nothing has changed for `settle` (or changes have waited for long); files
// that stay open for very long are left at their last committed content meanwhile. One commit at a time, on
// the worker; the job is never disturbed, and a store that fails is tried again. Loop thread only.
class CheckpointSync {
 public:
  struct Options {
    std::string directory;
    Duration settle{};
    int keep = 1;
    Duration open_too_long = std::chrono::seconds{10};  // then others need not wait for it
    // Complete changes that no commit could take for so long, because files are written without a pause, are
    // worth a word to the user.
    Duration tell_unsaved = std::chrono::minutes{1};
    Duration retry_min = std::chrono::milliseconds{250};
    Duration retry_max = std::chrono::seconds{30};
    Duration crash_window = std::chrono::milliseconds{100};  // see DirtyFiles::diedAbnormally
    std::uint32_t rank = 0, ranks = 1;                       // of the gang
    bool decides = false;  // JobSpec::main_decides, and this is rank 0: the others go on when it has ended
    std::shared_ptr<objstore::Mirror> mirror;          // brought up to date after each save; may be null
    Duration look_at_parts = std::chrono::seconds{5};  // how often rank 0 looks what others have saved
  };
  struct Callbacks {
    // A new version; `covers`: everything that the job had completed by then is in it. `wrote`: how long the
    // job took to write it.
    std::function<void(const objstore::CommitStats&, Time covers, Duration wrote)> on_committed;
    std::function<void()> on_fenced;  // a later attempt has begun: nothing more is committed
    std::function<void(const std::string&)> on_trouble;  // a sentence for the job's history; not repeated
  };

  static Result<std::unique_ptr<CheckpointSync>> create(
      os::EventLoop& loop, const Clock& clock, Worker& worker,
      std::shared_ptr<objstore::CheckpointRepository> repository, Options options, Callbacks callbacks);
  ~CheckpointSync();
  CheckpointSync(const CheckpointSync&) = delete;
  CheckpointSync& operator=(const CheckpointSync&) = delete;

  // Just before Buoy kills what still runs: what is being written now is torn from here on.
  void freeze();
  // The same, when a signal that was not Buoy's SIGKILL has ended the job: a crash, the kernel's memory
  // killer.
  void jobCrashed();
  // After one of the two, when nothing writes any more: commits what is complete and calls `done` once (of a
  // gang, what belongs together; if the job has ended well, whatever there is);
  // errors that may pass are retried until `give_up`. Of the other callbacks only on_committed and on_trouble
  // may still come.
  // `cut_at`: when the machine goes; a save that is still under way then is given up, with no version half
  // made.
  void finish(Time give_up, std::optional<Time> cut_at, bool ended_well, std::function<void(Status)> done);

  // Nothing more is committed, reported or told; what is under way is given up. May be called from a
  // callback.
  void abandon();

  // See Options::tell_unsaved.
  void tellUnsavedAfter(Duration after) { options_.tell_unsaved = after; }
  // How long the longest commit took; zero: none yet.
  Duration longestSave() const { return longest_save_; }

 private:
  struct Finish {
    Time give_up{};
    std::function<void(Status)> done;
    bool begun = false;  // a commit that was under way when the job ended is not the last one
  };

  CheckpointSync(os::EventLoop& loop, const Clock& clock, Worker& worker,
                 std::shared_ptr<objstore::CheckpointRepository> repository, Options options,
                 Callbacks callbacks);
  void evaluate();
  void evaluateAt(Time when);
  void commit(std::vector<std::string> skip);
  struct Round {
    Time began{}, covers{};
    Duration wrote{};
  };
  void committed(const Result<objstore::CommitStats>& result, const Round& round);
  void waitForPause(Time now, Time old_enough);
  void failed(const Error& error);
  void commitFinally();
  void saved();
  void notSaved(const Error& error);
  void tidy();
  void tellMirror(const Error& error);
  void mirrored(const Status& put);
  void announcePart();
  void lookAtParts();
  void reportMissed(const objstore::CommitStats& stats);
  void trouble(const std::string& sentence);

  os::EventLoop& loop_;
  const Clock& clock_;
  Worker& worker_;
  std::shared_ptr<objstore::CheckpointRepository> repository_;
  Options options_;
  Callbacks callbacks_;
  std::unique_ptr<CheckpointWatch> watch_;
  os::EventLoop::TimerId timer_ = 0;
  os::EventLoop::TimerId parts_timer_ = 0;
  bool part_announced_ = false;
  bool looking_ = false;  // at others' parts
  std::optional<Finish> finish_;
  std::stop_source deadline_;
  std::stop_source tidying_;  // ends the removal of old versions that is under way
  os::EventLoop::TimerId deadline_timer_ = 0;
  bool committing_ = false;
  bool fenced_ = false;
  Duration backoff_{};
  Time retry_at_{};
  Duration longest_save_{};
  std::uint64_t last_version_ = 0;
  std::string last_trouble_;
  // Results come from the worker by post(): none is delivered to an object that is gone.
  std::shared_ptr<CheckpointSync*> self_;
};

}  // namespace buoy::agent
