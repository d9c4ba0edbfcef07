#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// The life of a job, seen from outside: submitted, stopped, finished.
namespace buoy::engine {
namespace {

std::string describe(const JobRequest& request) {
  const Resources& need = request.resources;
  const std::string cpus = need.milli_cpus % 1000 == 0 ? std::to_string(need.milli_cpus / 1000)
                                                       : std::to_string(need.milli_cpus) + "m";
  return strCat({std::to_string(request.machines),
                 request.machines == 1 ? " machine with " : " machines with ", cpus, " cpus",
                 need.gpus > 0 ? ", " + std::to_string(need.gpus) + " gpus" : "",
                 need.memory.value > 0 ? ", " + formatByteCount(need.memory) : ""});
}

}  // namespace

void Stepper::on(const SubmitJob& event) {
  const JobRequest& request = event.request;
  if (request.machines < 1) return refuse(ErrorCode::invalid_argument, "a job needs at least one machine");
  for (const std::string& name : request.pools) {
    const auto found = s_.pools.find(name);
    if (found == s_.pools.end() || !found->second.known) {
      return refuse(ErrorCode::not_found, strCat({"no pool '", name, "'"}));
    }
  }
  const auto queue = s_.queues.find(request.queue);
  const bool known = queue != s_.queues.end() && queue->second.known;
  if (!known && request.queue != "default")
    return refuse(ErrorCode::not_found, strCat({"no queue '", request.queue, "'"}));
  if (!promisable(request)) return;
  if (!known) {
    // The default queue needs no setting up.
    QueueSlot& made = s_.queueSlot(request.queue);
    made.known = true;
    touch(made);
  }
  const JobId id{s_.next_job};
  s_.next_job += 1 + static_cast<std::uint64_t>(request.array);
  JobSlot& slot = s_.jobs.make(id.value);
  slot.timer.id = id.value;
  slot.queue = &s_.queueSlot(request.queue);
  Job& job = slot.job;
  job.id = id;
  job.request = request;
  job.submitted = job.phase_since = job.waiting_since = now_;
  job.reason = "waiting its turn";
  touch(slot);
  record("submitted", strCat({"submitted to queue ", request.queue, ": ", describe(request)}), job);
  out_.reply.job = id;
  if (request.array > 0) {
    job.array = std::make_unique<ArrayState>();
    job.array->tasks.assign(static_cast<std::size_t>(request.array), '.');
  }
  if (request.policy == SpotRule::none) return beginWaiting(slot, event.failed_dependency);
  job.steering = std::make_unique<Steering>();
  s_.steered.insert(id);
  s_.ask(slot);
}

// What cannot be kept is not promised.
bool Stepper::promisable(const JobRequest& request) {
  if (request.policy == SpotRule::none) return true;
  if (!deadlineOf(request, now_) || request.work <= Duration{0}) {
    refuse(ErrorCode::invalid_argument, "a job with a policy needs a deadline and the work that it is");
    return false;
  }
  std::vector<const Pool*> pools;
  for (const PoolSlot* const slot : s_.poolsOf(request)) pools.push_back(&slot->pool);
  const std::string why = whyInfeasible(request, pools, now_, settings_);
  if (why.empty()) return true;
  refuse(ErrorCode::invalid_argument, "deadline: " + why);
  return false;
}

void Stepper::on(const CancelJob& event) {
  JobSlot* const slot = s_.findJob(event.job);
  if (!slot) return refuse(ErrorCode::not_found, "no unfinished job " + event.job.toString());
  const Job& job = slot->job;
  if (event.index >= 0) return cancelTask(*slot, event);
  if (isTerminal(job.phase)) {
    return refuse(ErrorCode::failed_precondition,
                  strCat({event.job.toString(), " has ", toString(job.phase)}));
  }
  if (event.only_waiting && (job.current || (job.array && job.array->begun > 0)))
    return refuse(ErrorCode::failed_precondition,
                  strCat({event.job.toString(), " is ", toString(job.phase), ": it does not wait"}));
  out_.reply.job = event.job;
  if (job.stop != StopReason::none) return;
  stopJob(*slot, StopReason::cancelled, event.why.empty() ? "cancelled" : event.why);
}

void Stepper::on(const SaveJob& event) {
  JobSlot* const slot = s_.findJob(event.job);
  if (!slot) return refuse(ErrorCode::not_found, "no unfinished job " + event.job.toString());
  Job& job = slot->job;
  if (job.phase != JobPhase::running) {
    return refuse(ErrorCode::failed_precondition,
                  strCat({event.job.toString(), " is ", toString(job.phase), ": only what runs can save"}));
  }
  out_.reply.job = event.job;
  askToSave(*slot, "the job is asked to save now");
}

void Stepper::askToSave(JobSlot& slot, std::string why) {
  Job& job = slot.job;
  ++job.save_requests;
  job.save_asked = now_;
  touch(slot);
  record("save_requested", std::move(why), job);
  for (const Member& member : job.current->members) {
    if (MachineSlot* const machine = s_.findMachine(member.machine)) redirect(*machine);
  }
}

void Stepper::enterPhase(JobSlot& slot, JobPhase phase, Time at, std::string reason) {
  Job& job = slot.job;
  if (job.phase != phase) {
    at = std::clamp(at, job.phase_since, now_);
    if (job.phase == JobPhase::running) job.ran += at - job.phase_since;
    job.phase = phase;
    job.phase_since = at;
  }
  job.reason = std::move(reason);
  touch(slot);
}

// For good: by the user, or because a limit is reached. Machines that work are given the time to save.
void Stepper::stopJob(JobSlot& slot, StopReason reason, std::string why) {
  Job& job = slot.job;
  job.stop = reason;
  seekNothing(slot);
  if (job.array) stopTasks(slot, reason, why);
  if (!job.current)
    return finish(slot, reason == StopReason::cancelled ? JobPhase::cancelled : JobPhase::timed_out, why);
  saveAndStop(slot, reason, "stopping", std::move(why));
}

// No machines any more but those that work.
void Stepper::seekNothing(JobSlot& slot) {
  Job& job = slot.job;
  s_.dequeue(slot);
  leaveVacant(slot);
  touch(slot);
  if (job.next) {
    dismiss(slot, *job.next, job.current.get());
    job.next.reset();
    --job.attempts;
  }
  if (job.current && !job.current->directed) dissolve(slot);
}

void Stepper::saveAndStop(JobSlot& slot, StopReason reason, std::string_view kind, std::string why) {
  Job& job = slot.job;
  record(kind, strCat({why, ": the job is told to save and stop"}), job);
  enterPhase(slot, JobPhase::stopping, now_, std::move(why));
  job.current->verify_until = Time{};
  stopPeers(slot, reason);
  advance(slot);
}

void Stepper::finish(JobSlot& slot, JobPhase phase, std::string reason) {
  Job& job = slot.job;
  s_.dequeue(slot);
  leaveVacant(slot);
  if (job.waiting_since != Time{}) ledgerOf(job).queued += now_ - job.waiting_since;
  job.waiting_since = Time{};
  record("finished", strCat({toString(phase), ": ", reason}), job);
  enterPhase(slot, phase, now_, std::move(reason));
  if (job.next) dismiss(slot, *job.next, job.current.get());
  if (job.current) dismiss(slot, *job.current, nullptr);
  job.next.reset();
  job.current.reset();
  if (isSteered(job)) s_.steered.erase(job.id);
  s_.timers.remove(slot.timer);
  s_.ended.push_back(job.id);
}

// ---- time

// When a member that was told to stop is ended by force; nullopt: it was not told, or has ended, or is being
// ended.
std::optional<Time> Stepper::forcedEnd(const Member& member, const Job& job) const {
  if (member.stop == StopReason::none || member.phase == MemberPhase::done) return std::nullopt;
  const MachineSlot* const machine = s_.findMachine(member.machine);
  if (!machine || machine->machine.phase != MachinePhase::assigned) return std::nullopt;
  const auto& notice = machine->machine.notice_deadline;
  const Time told = member.stop == StopReason::notice && notice ? std::max(*notice, member.stop_since)
                                                                : member.stop_since + job.request.stop_grace;
  return std::max(told, s_.resumed_at) + settings_.stop_margin;
}

// When the running attempt has had its time.
std::optional<Time> Stepper::attemptEnd(const Job& job) {
  if (job.request.attempt_timeout <= Duration{0} || !job.current) return std::nullopt;
  const Member& first = job.current->members[0];
  if (first.phase != MemberPhase::running) return std::nullopt;
  return first.running_since + job.request.attempt_timeout;
}

std::optional<Time> Stepper::jobDeadline(const JobSlot& slot) const {
  const Job& job = slot.job;
  std::optional<Time> earliest;
  const auto consider = [&](Time at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  if (isTerminal(job.phase)) return earliest;
  if (job.stop == StopReason::none) {
    if (job.request.max_wait > Duration{0}) consider(job.submitted + job.request.max_wait);
    if (job.request.max_run > Duration{0} && job.phase == JobPhase::running) {
      consider(job.phase_since + std::max(Duration{0}, job.request.max_run - job.ran));
    }
    if (const auto at = attemptEnd(job)) consider(*at);
    if (slot.ask_at != Time{} && !job.paused) consider(slot.ask_at);
    if (const auto at = budgetEnd(job)) consider(*at);
    if (const StuckLimit* const limit = stuckLimit(slot)) consider(slot.stuck_since + limit->after);
  }
  if (const Attempt* const attempt = forming(job); attempt && attempt->vacant_since != Time{}) {
    consider(attempt->vacant_since + settings_.gang_hold);
  }
  if (!job.current) return earliest;
  if (job.current->verify_until != Time{}) consider(job.current->verify_until);
  for (const Member& member : job.current->members) {
    if (const auto at = forcedEnd(member, job)) consider(*at);
  }
  return earliest;
}

void Stepper::jobTimer(JobSlot& slot) {
  Job& job = slot.job;
  const JobRequest& request = job.request;
  const auto due = [&](Time at) { return at <= now_; };
  if (job.stop == StopReason::none) {
    if (request.max_wait > Duration{0} && due(job.submitted + request.max_wait)) {
      return stopJob(slot, StopReason::max_wait,
                     strCat({"did not finish within max_wait (", formatDuration(request.max_wait), ")"}));
    }
    if (request.max_run > Duration{0} && job.phase == JobPhase::running &&
        due(job.phase_since + std::max(Duration{0}, request.max_run - job.ran))) {
      return stopJob(slot, StopReason::max_run,
                     strCat({"ran for max_run (", formatDuration(request.max_run), ")"}));
    }
    if (const auto at = attemptEnd(job); at && due(*at)) {
      return stopJob(slot, StopReason::max_run,
                     strCat({"its attempt ran for ", formatDuration(request.attempt_timeout)}));
    }
    if (const StuckLimit* const limit = stuckLimit(slot); limit && due(slot.stuck_since + limit->after))
      return cancelStuck(slot, *limit);
    if (slot.ask_at != Time{} && due(slot.ask_at)) s_.ask(slot);
    if (const auto at = budgetEnd(job); at && due(*at)) pause(slot);
  }
  if (const Attempt* const attempt = forming(job);
      attempt && attempt->vacant_since != Time{} && due(attempt->vacant_since + settings_.gang_hold)) {
    record("dissolved", "no machine for the missing rank could be had: the whole gang is placed anew", job);
    dissolve(slot);
    waitForPlacement(slot);
  }
  if (!job.current) return;
  for (Member& member : job.current->members) {
    const auto at = forcedEnd(member, job);
    if (!at || !due(*at)) continue;
    forceEnd(*s_.findMachine(member.machine), "its agent did not report the end of the job in time");
    vacate(slot, member.machine);
  }
  if (job.current->verify_until != Time{} && due(job.current->verify_until)) confirmFailure(slot);
}

}  // namespace buoy::engine
