#include "control/writer.h"

#include <algorithm>
#include <utility>

#include "os/crash_point.h"
#include "os/log.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

constexpr std::size_t kBatchLimit = 512;
constexpr std::chrono::milliseconds kCommitRetry{200};

Error refusal(const engine::Reply& reply) {
  return {reply.code, reply.message, false};
}

Error storageError(const Error& cause) {
  return {
      ErrorCode::unavailable,
      (cause.code == ErrorCode::resource_exhausted ? "storage is full: " : "storage does not work: ") +
          std::string(
              "the control plane cannot write its state and goes on by itself once it can; what was asked "
              "for may still happen then (") +
          cause.message + ")",
      true};
}

Error stoppingError() {
  return {ErrorCode::unavailable, "the control plane is stopping; try again", true};
}

}  // namespace

Writer::Writer(store::Store& store, engine::State state, Effects& effects, Options options)
    : store_(store), state_(std::move(state)), effects_(effects), options_(std::move(options)) {}

void Writer::start() {
  thread_ = std::jthread([this] { run(); });
}

Status Writer::offer(Submission submission) {
  if (storage_failing_) {
    return fail(ErrorCode::unavailable,
                "storage is full or does not work: the control plane cannot write its state; "
                "nothing was changed, try again later",
                true);
  }
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return fail(stoppingError());
    if (queue_.size() >= options_.queue_limit) {
      return fail(ErrorCode::resource_exhausted,
                  "the control plane is busy: too many requests are waiting; try again", true);
    }
  }
  push({std::move(submission), nullptr, true, std::chrono::steady_clock::now(), engine::Reply{}});
  return {};
}

void Writer::post(Submission submission) {
  push({std::move(submission), nullptr, false, std::chrono::steady_clock::now(), engine::Reply{}});
}

void Writer::look(std::function<void(const engine::State&)> look) {
  push({{}, std::move(look), false, std::chrono::steady_clock::now(), engine::Reply{}});
}

void Writer::push(Entry entry) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      queue_.push_back(std::move(entry));
      changed_.notify_one();
      return;
    }
  }
  if (!entry.submission.done) return;
  const engine::State nothing;
  entry.submission.done(fail(stoppingError()), nothing);
}

void Writer::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void Writer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  std::deque<Entry> left;
  {
    const std::lock_guard lock(mutex_);
    left.swap(queue_);
  }
  for (Entry& entry : left) {
    entry.result = fail(stoppingError());
    answer(entry);
  }
}

void Writer::run() {
  engine::resume(state_, options_.clock->now(), options_.settings, *options_.policy, outcome_);
  std::vector<Entry> none;
  finish(none, {&state_, &outcome_.changes, {}, {}, {}, {}});
  for (;;) {
    waitForWork();
    std::vector<Entry> entries = take();
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) {
        for (Entry& entry : entries) queue_.push_back(std::move(entry));  // for stop to answer
        return;
      }
    }
    process(entries);
  }
}

void Writer::waitForWork() {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return stopped_ || woken_ || !queue_.empty(); };
  const auto deadline = state_.nextDeadline();
  if (!deadline) {
    changed_.wait(lock, ready);
  } else {
    // Never less than a millisecond, so that a deadline that a tick does not move cannot keep the thread
    // spinning.
    const Duration left = std::clamp<Duration>(*deadline - options_.clock->now(),
                                               std::chrono::milliseconds{1}, std::chrono::hours{1});
    changed_.wait_for(lock, left, ready);
  }
  woken_ = false;
}

std::vector<Writer::Entry> Writer::take() {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kBatchLimit));
  std::vector<Entry> entries(std::make_move_iterator(queue_.begin()),
                             std::make_move_iterator(queue_.begin() + count));
  queue_.erase(queue_.begin(), queue_.begin() + count);
  return entries;
}

void Writer::process(std::vector<Entry>& entries) {
  store::Batch batch{&state_, &outcome_.changes, {}, {}, {}, {}};
  for (Entry& entry : entries) apply(entry, batch);
  const Time now = options_.clock->now();
  if (const auto deadline = state_.nextDeadline(); deadline && *deadline <= now) {
    engine::step(state_, engine::Tick{}, now, options_.settings, *options_.policy, outcome_);
  }
  finish(entries, batch);
}

Result<std::optional<engine::Reply>> Writer::repeated(const Submission& submission,
                                                      const store::Batch& batch) {
  std::string earlier;
  engine::Reply reply;
  if (const auto found = requests_in_batch_.find(submission.request_id); found != requests_in_batch_.end()) {
    reply.job = found->second;
    for (const store::JobDocument& document : batch.documents) {
      if (document.job == reply.job) earlier = document.spec;
    }
  } else {
    BUOY_TRY(const std::optional<JobId> stored, store_.findRequest(submission.request_id));
    if (!stored) return std::optional<engine::Reply>();
    reply.job = *stored;
    BUOY_TRY(earlier, store_.jobSpec(reply.job));
  }
  if (earlier != submission.spec) {
    return fail(ErrorCode::already_exists, "request_id '" + submission.request_id +
                                               "' was used for another job, " + reply.job.toString() +
                                               "; use a new one");
  }
  return std::optional<engine::Reply>(reply);
}

Status Writer::settleDependencies(engine::Event& event) {
  auto* const submit = std::get_if<engine::SubmitJob>(&event);
  if (submit == nullptr) return {};
  for (const engine::Dependency& dependency : submit->request.depends_on) {
    if (state_.job(dependency.job) != nullptr) continue;
    const auto row = store_.job(dependency.job);
    if (!row && row.error().code == ErrorCode::not_found)
      return fail(ErrorCode::invalid_argument, "depends_on: there is no job " + dependency.job.toString());
    if (!row) return fail(row.error());
    BUOY_TRY(const engine::Job job, store::decodeJob(row->record));
    if (job.phase != engine::JobPhase::succeeded) submit->failed_dependency = dependency.job;
  }
  return {};
}

void Writer::apply(Entry& entry, store::Batch& batch) {
  if (entry.look) return entry.look(state_);
  Submission& submission = entry.submission;
  if (!submission.request_id.empty()) {
    auto before = repeated(submission, batch);
    if (!before) {
      entry.result = fail(std::move(before).error());
      return;
    }
    if (*before) {
      entry.result = **before;
      return;
    }
  }
  for (engine::Event& event : submission.events) {
    outcome_.reply = {};
    if (const Status settled = settleDependencies(event); !settled) {
      entry.result = fail(settled.error());
      return;
    }
    engine::step(state_, event, options_.clock->now(), options_.settings, *options_.policy, outcome_);
    if (!outcome_.reply.accepted) {
      entry.result = fail(refusal(outcome_.reply));
      return;
    }
    entry.result = outcome_.reply;
  }
  if (!submission.spec.empty() && entry.result->job) {
    if (!submission.request_id.empty()) requests_in_batch_[submission.request_id] = entry.result->job;
    batch.documents.push_back(
        {entry.result->job, std::move(submission.spec), std::move(submission.request_id)});
  }
  std::move(submission.metrics.begin(), submission.metrics.end(), std::back_inserter(batch.metrics));
  std::move(submission.agent_records.begin(), submission.agent_records.end(),
            std::back_inserter(batch.agent_records));
  std::move(submission.resources.begin(), submission.resources.end(), std::back_inserter(batch.resources));
}

void Writer::finish(std::vector<Entry>& entries, const store::Batch& batch) {
  const bool changed = !batch.empty();
  if (changed && !makeDurable(entries, batch)) {
    for (Entry& entry : entries) {
      entry.result = fail(stoppingError());
      answer(entry);
    }
    return;
  }
  if (changed || !outcome_.actions.empty()) {
    os::crashPoint("control.before_actions");
    effects_.carryOut(state_, batch, outcome_.actions);
    os::crashPoint("control.after_actions");
    engine::forget(state_, outcome_.changes);
  }
  if (changed) os::crashPoint("control.before_reply");
  for (Entry& entry : entries) answer(entry);
  outcome_.clear();
  requests_in_batch_.clear();
}

// False only when told to stop before it worked: then nothing of the batch may be seen.
bool Writer::makeDurable(std::vector<Entry>& entries, const store::Batch& batch) {
  const auto began = std::chrono::steady_clock::now();
  for (;;) {
    os::crashPoint("store.before_commit");
    const Status committed = store_.commit(batch);
    os::crashPoint("store.after_commit");
    if (committed) {
      if (storage_failing_.exchange(false)) os::log(os::LogLevel::info, "store_recovered");
      return true;
    }
    const Error& error = committed.error();
    if (!storage_failing_.exchange(true)) {
      os::log(os::LogLevel::error, "store_commit_failed", {{"error", error.message}});
    }
    // A damaged database or a statement that can never work: the state on disk is the truth, so start again
    // from it.
    if (error.code == ErrorCode::data_loss || error.code == ErrorCode::internal)
      BUOY_CHECK(!"the store refuses a commit");
    if (std::chrono::steady_clock::now() - began >= options_.refuse_after)
      refuseWaiting(entries, storageError(error));
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kCommitRetry, [&] { return stopped_; })) return false;
  }
}

void Writer::refuseWaiting(std::vector<Entry>& entries, const Error& error) {
  for (Entry& entry : entries) {
    entry.result = fail(error);
    answer(entry);
  }
  std::vector<Entry> refused;
  {
    const std::lock_guard lock(mutex_);
    for (Entry& entry : queue_) {
      if (entry.refusable) refused.push_back(std::move(entry));
    }
    std::erase_if(queue_, [](const Entry& entry) { return entry.refusable; });
  }
  for (Entry& entry : refused) {
    entry.result = fail(error);
    answer(entry);
  }
}

void Writer::answer(Entry& entry) {
  if (const auto done = std::exchange(entry.submission.done, nullptr)) done(entry.result, state_);
}

}  // namespace buoy::control
