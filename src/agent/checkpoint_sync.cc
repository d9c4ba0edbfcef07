#include "agent/checkpoint_sync.h"

#include <algorithm>
#include <utility>

#include "agent/trouble.h"
#include "base/any_stop.h"
#include "base/strings.h"
#include "objstore/part_collector.h"
#include "os/crash_point.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

// Changes that never pause are committed all the same, this many settle times (at least a second) after the
// first.
constexpr int kMostTries = 5;
constexpr Duration kMinPatience = std::chrono::seconds{1};
// For what others are saving, who do not end.
constexpr Duration kOthersPatience = std::chrono::seconds{30};

void endParts(objstore::CheckpointRepository& repository) {
  if (const Status ended = repository.endParts(); !ended)
    os::log(os::LogLevel::warn, "end_of_parts_not_told", {{"error", ended.error().message}});
}

}  // namespace

Result<std::unique_ptr<CheckpointSync>> CheckpointSync::create(
    os::EventLoop& loop, const Clock& clock, Worker& worker,
    std::shared_ptr<objstore::CheckpointRepository> repository, Options options, Callbacks callbacks) {
  std::unique_ptr<CheckpointSync> sync(new CheckpointSync(loop, clock, worker, std::move(repository),
                                                          std::move(options), std::move(callbacks)));
  BUOY_TRY(sync->watch_, CheckpointWatch::create(loop, clock, sync->options_.directory,
                                                 [raw = sync.get()] { raw->evaluate(); }));
  if (sync->options_.rank == 0 && sync->options_.ranks > 1) sync->lookAtParts();
  return sync;
}

CheckpointSync::CheckpointSync(os::EventLoop& loop, const Clock& clock, Worker& worker,
                               std::shared_ptr<objstore::CheckpointRepository> repository, Options options,
                               Callbacks callbacks)
    : loop_(loop),
      clock_(clock),
      worker_(worker),
      repository_(std::move(repository)),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      self_(std::make_shared<CheckpointSync*>(this)) {}

CheckpointSync::~CheckpointSync() {
  abandon();
}

void CheckpointSync::abandon() {
  fenced_ = true;
  loop_.cancel(timer_);
  loop_.cancel(parts_timer_);
  loop_.cancel(deadline_timer_);
  deadline_.request_stop();  // nobody waits for what is under way, nor for what it may remove
  *self_ = nullptr;
}

void CheckpointSync::freeze() {
  watch_->drain();
  watch_->verifyDirty();
  watch_->files().freeze();
}

void CheckpointSync::jobCrashed() {
  watch_->drain();
  watch_->files().diedAbnormally(clock_.now(), options_.crash_window);
  watch_->files().freeze();
}

void CheckpointSync::finish(Time give_up, std::optional<Time> cut_at, bool ended_well,
                            std::function<void(Status)> done) {
  BUOY_CHECK(!finish_);
  finish_ = Finish{give_up, std::move(done)};
  loop_.cancel(timer_);
  loop_.cancel(parts_timer_);
  objstore::GangEnd end;
  end.deadline = cut_at;
  // The others may be in the middle of something where the main machine alone decides.
  end.whole_only = !ended_well || options_.decides;
  // At a good end the others are as far, and each may have much to send.
  end.patience = ended_well && options_.decides ? kOthersPatience
                 : ended_well                   ? objstore::PartCollector::kStuck
                 : cut_at                       ? *cut_at - clock_.now()
                                                : give_up - clock_.now();
  repository_->hurry(end);
  backoff_ = Duration{0};
  if (cut_at) {
    deadline_timer_ =
        loop_.after(std::max(*cut_at - clock_.now(), Duration{0}), [this] { deadline_.request_stop(); });
  }
  // The last save does not wait for what can be removed later.
  std::exchange(tidying_, {}).request_stop();
  // What is under way is complete on disk already and so the surest to be saved: it goes first.
  if (!committing_) commitFinally();
}

void CheckpointSync::evaluate() {
  if (!watch_->trouble().empty())
    trouble("cannot see all changes of the checkpoint directory: " + watch_->trouble());
  if (committing_ || fenced_ || finish_) return;
  const DirtyFiles& files = watch_->files();
  if (!files.firstChange()) return;
  announcePart();
  const Time now = clock_.now();
  const Time patience_ends = *files.firstChange() + std::max(options_.settle * kMostTries, kMinPatience);
  const Time due = std::max(retry_at_, std::min(files.lastChange() + options_.settle, patience_ends));
  if (now < due) return evaluateAt(due);
  std::vector<std::string> skip;
  if (files.any()) {
    const Time old_enough = *files.newestDirty() + options_.open_too_long;
    if (now < old_enough) return waitForPause(now, old_enough);
    watch_->verifyDirty();
    skip = files.dirty();
  }
  commit(std::move(skip));
}

// Something is always half written: what is complete beside it cannot be taken without tearing it.
void CheckpointSync::waitForPause(Time now, Time old_enough) {
  const Time since = *watch_->files().firstChange();
  const Time tell_at = since + options_.tell_unsaved;
  if (now < tell_at) return evaluateAt(std::min(old_enough, tell_at));
  trouble(strCat({"nothing could be saved since ", formatTime(since),
                  ": files in the checkpoint directory are "
                  "being written without a pause (a commit waits until none is, for a moment)"}));
  evaluateAt(old_enough);
}

void CheckpointSync::evaluateAt(Time when) {
  loop_.cancel(timer_);
  timer_ = loop_.after(when - clock_.now(), [this] { evaluate(); });
}

void CheckpointSync::commit(std::vector<std::string> skip) {
  committing_ = true;
  part_announced_ = false;
  const Time began = clock_.now();
  // What was complete when the last change was seen is what the version holds, not what was computed since.
  const Time covers = watch_->files().firstChange() ? watch_->files().lastChange() : began;
  const Round round{began, covers, watch_->files().written()};
  watch_->files().commitBegins();
  worker_.submit([loop = &loop_, self = self_, repository = repository_, directory = options_.directory,
                  skip = std::move(skip), round, last_save = finish_.has_value(),
                  deadline = deadline_.get_token()](const std::stop_token& stop) {
    os::crashPoint("agent.before_commit");
    const AnyStop either{stop, deadline};
    const auto result = repository->commit(directory, skip, either.token());
    os::crashPoint("agent.after_commit");
    if (result && last_save) endParts(*repository);
    loop->post([self, result, round] {
      if (*self != nullptr) (*self)->committed(result, round);
    });
  });
}

// Behind the commit, so that what is announced meanwhile goes before it.
void CheckpointSync::tidy() {
  if (finish_) return;
  worker_.submit([loop = &loop_, self = self_, repository = repository_, directory = options_.directory,
                  keep = options_.keep, mirror = options_.mirror, deadline = deadline_.get_token(),
                  tidying = tidying_.get_token()](const std::stop_token& stop) {
    const AnyStop either{stop, deadline, tidying};
    if (mirror) {
      const auto put = mirror->put(directory, repository->savedState(), either.token());
      if (!put && !either.token().stop_requested()) {
        loop->post([self, error = put.error()] {
          if (*self != nullptr) (*self)->tellMirror(error);
        });
      }
    }
    const Status retained = repository->retain(keep, either.token());
    if (!retained && retained.error().code != ErrorCode::cancelled) {
      os::log(os::LogLevel::warn, "retention_failed", {{"error", retained.error().message}});
    }
  });
}

void CheckpointSync::tellMirror(const Error& error) {
  trouble("the mirror is behind: " + error.message);
}

// The last version is committed; the mirror gets it too before the job counts as saved, unless the machine
// goes or the store stays away.
void CheckpointSync::saved() {
  if (!options_.mirror) return std::exchange(finish_->done, nullptr)({});
  worker_.submit([loop = &loop_, self = self_, repository = repository_, directory = options_.directory,
                  mirror = options_.mirror, deadline = deadline_.get_token()](const std::stop_token& stop) {
    const AnyStop either{stop, deadline};
    const auto put = mirror->put(directory, repository->savedState(), either.token());
    loop->post([self, status = put ? Status{} : fail(put.error())] {
      if (*self != nullptr) (*self)->mirrored(status);
    });
  });
}

void CheckpointSync::mirrored(const Status& put) {
  if (!put) {
    tellMirror(put.error());
    backoff_ = std::clamp(backoff_ * 2, options_.retry_min, options_.retry_max);
    const bool in_time = !deadline_.stop_requested() && clock_.now() + backoff_ < finish_->give_up;
    if (in_time && mayPass(put.error())) {
      timer_ = loop_.after(backoff_, [this] { saved(); });
      return;
    }
  }
  std::exchange(finish_->done, nullptr)({});
}

void CheckpointSync::committed(const Result<objstore::CommitStats>& result, const Round& round) {
  committing_ = false;
  if (!result) return failed(result.error());
  longest_save_ = std::max(longest_save_, clock_.now() - round.began - result->waited);
  backoff_ = Duration{0};
  retry_at_ = Time{};
  last_trouble_.clear();
  const bool is_new = result->version != last_version_;
  last_version_ = result->version;
  reportMissed(*result);
  if (result->version != 0) callbacks_.on_committed(*result, round.covers, round.wrote);
  if (!finish_) {
    evaluate();
    if (is_new) tidy();
    return;
  }
  if (!finish_->begun) return commitFinally();
  saved();
}

void CheckpointSync::failed(const Error& error) {
  watch_->files().commitFailed(clock_.now());
  if (error.code == ErrorCode::failed_precondition) {
    fenced_ = true;
    if (!finish_) return callbacks_.on_fenced();
    if (!finish_->done) return;
    return notSaved(error);
  }
  trouble(strCat({"could not save the checkpoint: ", error.message}));
  backoff_ = std::clamp(backoff_ * 2, options_.retry_min, options_.retry_max);
  retry_at_ = clock_.now() + backoff_;
  if (!finish_) return evaluate();
  if (!finish_->begun) return commitFinally();
  if (!mayPass(error) || retry_at_ >= finish_->give_up) return notSaved(error);
  timer_ = loop_.after(backoff_, [this] { commitFinally(); });
}

void CheckpointSync::notSaved(const Error& error) {
  worker_.submit([repository = repository_](const std::stop_token&) { endParts(*repository); });
  std::exchange(finish_->done, nullptr)(fail(error));
}

// The rank that makes the versions is to wait for what is being written now.
void CheckpointSync::announcePart() {
  if (options_.rank == 0 || part_announced_) return;
  part_announced_ = true;
  worker_.submit([repository = repository_](const std::stop_token&) {
    if (const Status begun = repository->beginPart(); !begun)
      os::log(os::LogLevel::warn, "part_not_announced", {{"error", begun.error().message}});
  });
}

// Rank 0: others may have saved while nothing changed here.
void CheckpointSync::lookAtParts() {
  parts_timer_ = loop_.after(options_.look_at_parts, [this] {
    if (fenced_ || finish_) return;
    lookAtParts();
    if (committing_ || looking_ || watch_->files().firstChange()) return;
    looking_ = true;
    worker_.submit([loop = &loop_, self = self_, repository = repository_](const std::stop_token&) {
      const auto ahead = repository->othersAreAhead();
      loop->post([self, commit = ahead && *ahead] {
        if (*self == nullptr) return;
        (*self)->looking_ = false;
        if (!commit || (*self)->committing_ || (*self)->fenced_ || (*self)->finish_) return;
        (*self)->commit({});
      });
    });
  });
}

void CheckpointSync::reportMissed(const objstore::CommitStats& stats) {
  if (stats.missed.empty() || stats.version == 0) return;
  std::vector<std::string> ranks;
  for (const std::uint32_t rank : stats.missed) ranks.push_back(std::to_string(rank));
  callbacks_.on_trouble(
      strCat({"version ", std::to_string(stats.version), " was saved without waiting longer for ",
              ranks.size() == 1 ? "rank " : "ranks ", join(ranks, ", "), ": nothing newer came from there"}));
}

void CheckpointSync::commitFinally() {
  finish_->begun = true;
  watch_->drain();
  announcePart();
  commit(watch_->files().dirty());
}

void CheckpointSync::trouble(const std::string& sentence) {
  if (sentence == last_trouble_) return;
  last_trouble_ = sentence;
  os::log(os::LogLevel::warn, "checkpoint_trouble", {{"error", sentence}});
  callbacks_.on_trouble(sentence);
}

}  // namespace buoy::agent
