#include <algorithm>

#include "base/strings.h"
#include "engine/retries.h"
#include "engine/stepper.h"

// The life of an attempt: formed from free, new and surviving machines; directed once it is whole; concluded
// when every member has ended; followed by the next one, which may have been formed meanwhile.
namespace buoy::engine {
namespace {

bool contains(const Attempt& attempt, MachineId machine) {
  return std::any_of(attempt.members.begin(), attempt.members.end(),
                     [&](const Member& member) { return member.machine == machine; });
}

bool allDone(const Attempt& attempt) {
  return std::all_of(attempt.members.begin(), attempt.members.end(),
                     [](const Member& member) { return member.phase == MemberPhase::done; });
}

bool isCleanExit(const Member& member) {
  return member.result && member.result->kind == MemberResult::Kind::exited &&
         member.result->exit_code == 0 && member.stop != StopReason::notice;
}

// Rank 0 decides: a peer that ended well although it was told to stop (its peer was lost just then) has ended
// well.
bool hasSucceeded(const Job& job) {
  const Attempt& attempt = *job.current;
  return isDecided(job) || (!job.request.main_decides && attempt.members[0].stop == StopReason::none &&
                            std::all_of(attempt.members.begin(), attempt.members.end(), isCleanExit));
}

std::string rankText(const Attempt& attempt, std::size_t rank) {
  return attempt.members.size() == 1 ? "" : " on rank " + std::to_string(rank);
}

// The failure that counts: of the lowest rank that failed without being told to stop.
const Member* firstFailure(const Job& job) {
  const std::vector<Member>& members = job.current->members;
  for (const Member& member : members) {
    if (!member.result || member.stop != StopReason::none) continue;
    const bool counts = &member == members.data() || !job.request.main_decides;
    const bool exited =
        counts && member.result->kind == MemberResult::Kind::exited && member.result->exit_code != 0;
    if (exited || member.result->kind == MemberResult::Kind::setup_failed) return &member;
  }
  return nullptr;
}

}  // namespace

// Main that came to its end by itself has succeeded, though it had just been told that another one is lost.
bool isDecided(const Job& job) {
  if (!job.request.main_decides || !job.current) return false;
  const Member& main = job.current->members[0];
  return (main.stop == StopReason::none || main.stop == StopReason::peer_lost) && isCleanExit(main);
}

// ---- forming

void Stepper::waitForPlacement(JobSlot& slot) {
  const Job& job = slot.job;
  if (isTerminal(job.phase) || job.stop != StopReason::none || job.next || job.paused) return;
  if (!s_.mayBegin(job)) return;
  touch(slot);
  if (isSteered(job)) return s_.ask(slot);
  s_.enqueue(slot);
}

void Stepper::leaveVacant(JobSlot& slot) {
  if (!slot.vacant_in) return;
  slot.vacant_in->vacant.erase(s_.rankOf(slot.job));
  slot.vacant_in = nullptr;
}

void Stepper::dismiss(JobSlot& slot, Attempt& attempt, const Attempt* except) {
  endRace(slot, attempt, "no longer needed");
  for (const Member& member : attempt.members) {
    MachineSlot* const machine = s_.findMachine(member.machine);
    if (!machine || machine->machine.job != slot.job.id) continue;
    if (except && contains(*except, member.machine)) continue;
    giveBack(*machine);
  }
}

void Stepper::dissolve(JobSlot& slot) {
  Job& job = slot.job;
  leaveVacant(slot);
  // The attempt stands until its machines are out of it: their open spans are on its account.
  if (job.next) {
    dismiss(slot, *job.next, job.current.get());
    job.next.reset();
    --job.attempts;
  } else {
    dismiss(slot, *job.current, nullptr);
    job.current.reset();
    --job.attempts;
    job.waiting_since = now_;
    enterPhase(slot, job.attempts == 0 ? JobPhase::queued : JobPhase::recovering, now_,
               "waiting for machines");
  }
  touch(slot);
}

void Stepper::vacate(JobSlot& slot, MachineId machine) {
  Attempt* const attempt = forming(slot.job);
  if (!attempt) return;
  for (Member& member : attempt->members) {
    if (member.machine != machine) continue;
    member.machine = MachineId{};
    touch(slot);
    if (promoteRival(slot, *attempt, member)) return;
    return fillVacancies(slot);
  }
}

void Stepper::fillVacancies(JobSlot& slot) {
  Job& job = slot.job;
  Attempt& attempt = *forming(job);
  const auto vacancies = std::count_if(attempt.members.begin(), attempt.members.end(),
                                       [](const Member& member) { return !member.machine; });
  if (vacancies == 0) return leaveVacant(slot);
  PoolSlot* const anchor = anchorOf(s_, attempt);
  if (!anchor) {
    dissolve(slot);
    return waitForPlacement(slot);
  }
  const PoolView view = viewFor(s_, *anchor, job.request);
  const PlacementRequest request{.job = &job,
                                 .resources = job.request.resources,
                                 .spot = spotOf(job),
                                 .image = job.request.image,
                                 .count = static_cast<std::int32_t>(vacancies)};
  Placement placement = policy_.place(request, {&view, 1}, now_);
  if (placement.pool) {
    leaveVacant(slot);
    return fill(slot, attempt, std::move(placement), decisionOn(request, {&view, 1}));
  }
  if (attempt.vacant_since == Time{}) {
    attempt.vacant_since = now_;
    touch(slot);
  }
  if (slot.vacant_in != anchor) {
    leaveVacant(slot);
    slot.vacant_in = anchor;
    anchor->vacant.insert(s_.rankOf(job));
  }
  std::string reason = "a rank is missing its machine: " + whyWaiting(placement);
  if (reason == job.reason) return;
  Record& made = record("waiting", reason, job);
  made.candidates = std::move(placement.candidates);
  made.decision = decisionOn(request, {&view, 1});
  job.reason = std::move(reason);
}

// The next attempt of a job whose current one ends without being its last: on the machines that survive.
void Stepper::formNext(JobSlot& slot) {
  const Job& job = slot.job;
  if (job.next || slot.bucket || job.paused) return;
  if (isSteered(job)) return s_.ask(slot);
  assemble(slot);
}

void Stepper::assemble(JobSlot& slot) {
  Job& job = slot.job;
  auto next = std::make_unique<Attempt>();
  bool survivors = false;
  for (const Member& member : job.current->members) {
    const MachineSlot* const machine = s_.findMachine(member.machine);
    bool survives = machine && machine->machine.phase == MachinePhase::assigned &&
                    machine->machine.job == job.id && !machine->machine.notice_deadline;
    if (isSteered(job)) survives = survives && suits(job, machine->machine);
    next->members.emplace_back().machine = survives ? member.machine : MachineId{};
    survivors = survivors || survives;
  }
  touch(slot);
  if (!survivors) return s_.enqueue(slot);
  next->number = ++job.attempts;
  next->epoch = ++job.epoch;
  next->created = now_;
  job.next = std::move(next);
  fillVacancies(slot);
}

// ---- going on

void Stepper::advance(JobSlot& slot) {
  if (slot.pending) return;
  slot.pending = true;
  s_.pending.push_back(slot.job.id);
}

void Stepper::proceed(JobSlot& slot) {
  Job& job = slot.job;
  if (job.current && job.current->directed && job.current->verify_until == Time{} && allDone(*job.current)) {
    conclude(slot);
  }
  moveOver(slot);
  if (!job.current || job.current->directed) return;
  for (const Member& member : job.current->members) {
    const MachineSlot* const machine = s_.findMachine(member.machine);
    if (!machine || machine->machine.phase != MachinePhase::assigned) return;
  }
  direct(slot);
}

void Stepper::direct(JobSlot& slot) {
  Job& job = slot.job;
  Attempt& attempt = *job.current;
  attempt.directed = true;
  attempt.begun = now_;
  slot.stuck_since = Time{};
  std::string names;
  for (std::size_t rank = 0; rank < attempt.members.size(); ++rank) {
    Member& member = attempt.members[rank];
    MachineSlot& machine = *s_.findMachine(member.machine);
    assign(machine, job, attempt.epoch, static_cast<std::int32_t>(rank));
    turn(machine, Use::starting, now_);
    member.phase_since = now_;
    redirect(machine);
    names += (rank == 0 ? "" : ", ") + member.machine.toString();
  }
  record("attempt_started", strCat({"attempt ", std::to_string(attempt.number), " starts on ", names}), job,
         attempt.members[0].machine);
  enterPhase(slot, attempt.number == 1 ? JobPhase::starting : JobPhase::recovering, now_,
             "starting attempt " + std::to_string(attempt.number));
}

void Stepper::conclude(JobSlot& slot) {
  Job& job = slot.job;
  Attempt& attempt = *job.current;
  const bool success = hasSucceeded(job);
  leaveRunning(slot, now_);
  settleRest(slot, success ? Use::useful : Use::redone);
  if (success) {
    job.exit_code = 0;
    keepAttempt(slot, attempt.members[0], "finished with exit code 0");
    return finish(slot, JobPhase::succeeded, "finished with exit code 0");
  }
  if (job.stop != StopReason::none) {
    keepAttempt(slot, attempt.members[0], job.reason);
    return finish(slot, job.stop == StopReason::cancelled ? JobPhase::cancelled : JobPhase::timed_out,
                  job.reason);
  }
  const Member* const failure = attempt.failed ? firstFailure(job) : nullptr;
  if (failure) {
    const auto rank = static_cast<std::size_t>(failure - attempt.members.data());
    const bool exited = failure->result->kind == MemberResult::Kind::exited;
    if (exited) job.exit_code = failure->result->exit_code;
    const std::string& detail = failure->result->detail;
    // What an agent says of a code beyond the code itself.
    const bool explained = exited && !detail.empty() && !detail.starts_with("exit code ");
    std::string what = exited
                           ? strCat({"exited with code ", std::to_string(failure->result->exit_code),
                                     rankText(attempt, rank), explained ? ": " : "", explained ? detail : ""})
                           : strCat({"could not be set up", rankText(attempt, rank), ": ", detail});
    keepAttempt(slot, *failure, what);
    const Failure told{.exit_code = exited ? std::optional(failure->result->exit_code) : std::nullopt,
                       .reason = what,
                       .machine = failure->machine};
    const bool spent = job.failures >= static_cast<std::uint32_t>(std::max(0, job.request.retry_failures));
    if (spent || !isRetried(job.request, told)) {
      return finish(slot, JobPhase::failed, std::move(what));
    }
    ++job.failures;
    job.exit_code.reset();
    record("retry",
           strCat({what, "; failure ", std::to_string(job.failures), " of ",
                   std::to_string(job.request.retry_failures), " that are forgiven"}),
           job);
    enterPhase(slot, JobPhase::recovering, now_, std::move(what));
  } else {
    keepAttempt(slot, attempt.members[0], job.reason);
    // A loss spends no attempt; rules may end the job all the same.
    const Failure lost{.reason = job.reason, .lost = true, .machine = job.past.back().machine};
    if (!job.paused && !isSteered(job) && !isRetried(job.request, lost))
      return finish(slot, JobPhase::failed, failureStatus(lost));
    if (job.phase != JobPhase::recovering && !job.paused)
      enterPhase(slot, JobPhase::recovering, now_, "its machine is being replaced");
  }
  if (job.paused) {
    std::string why = std::move(job.reason);
    record("paused",
           strCat({"paused: ", why,
                   job.last_version > 0 ? "; version " + std::to_string(job.last_version) + " is kept"
                                        : "; nothing was saved"}),
           job);
    enterPhase(slot, JobPhase::paused, now_, std::move(why));
  }
  formNext(slot);
  retire(slot);
}

void Stepper::keepAttempt(JobSlot& slot, const Member& told, std::string reason) {
  Job& job = slot.job;
  const Attempt& attempt = *job.current;
  PastAttempt past{.number = attempt.number,
                   .machine = told.machine,
                   .started = told.running_since,
                   .stopped = std::max(told.phase_since, told.running_since),
                   .exit_code = {},
                   .interrupted = attempt.interrupted && !attempt.failed,
                   .reason = std::move(reason)};
  if (told.result && told.result->kind == MemberResult::Kind::exited) past.exit_code = told.result->exit_code;
  if (job.past.size() == Job::kPastKept) job.past.erase(job.past.begin());
  job.past.push_back(std::move(past));
}

void Stepper::retire(JobSlot& slot) {
  Job& job = slot.job;
  for (const Member& member : job.current->members) {
    MachineSlot* const machine = s_.findMachine(member.machine);
    if (machine && machine->machine.job == job.id) closeSpan(*machine, now_);
  }
  const std::unique_ptr<Attempt> over = std::move(job.current);
  job.current = std::move(job.next);
  dismiss(slot, *over, job.current.get());
  touch(slot);
  if (job.current) return;
  job.waiting_since = now_;
  waitForPlacement(slot);
}

// ---- ending

void Stepper::stopMember(JobSlot& slot, Member& member, StopReason reason) {
  if (member.phase == MemberPhase::done) return;
  // A notice outranks a peer's loss: what the member reports from now on counts for nothing.
  const bool stronger = reason == StopReason::notice && member.stop == StopReason::peer_lost;
  if (member.stop != StopReason::none && !stronger) return;
  if (member.stop == StopReason::none) member.stop_since = now_;
  member.stop = reason;
  touch(slot);
  if (MachineSlot* const machine = s_.findMachine(member.machine)) redirect(*machine);
}

void Stepper::stopPeers(JobSlot& slot, StopReason reason) {
  for (Member& member : slot.job.current->members) stopMember(slot, member, reason);
}

// A machine is or will be lost: what the members report from now on is neither success nor failure.
void Stepper::interrupt(JobSlot& slot, std::string_view why, StopReason reason) {
  Attempt& attempt = *slot.job.current;
  if (attempt.failed || slot.job.stop != StopReason::none || isDecided(slot.job)) return;
  if (isSteered(slot.job)) slot.job.steering->moving = false;
  if (!attempt.interrupted) {
    attempt.interrupted = true;
    if (!slot.job.paused) slot.job.reason = why;
    touch(slot);
  }
  attempt.verify_until = Time{};
  stopPeers(slot, reason);
  formNext(slot);
}

// No member's process runs any more: max_run stops counting.
void Stepper::leaveRunning(JobSlot& slot, Time at) {
  Job& job = slot.job;
  if (job.phase != JobPhase::running) return;
  for (const Member& member : job.current->members) {
    if (member.phase == MemberPhase::running) return;
  }
  if (job.current->interrupted) {
    enterPhase(slot, JobPhase::recovering, at, job.reason);
  } else {
    enterPhase(slot, JobPhase::stopping, at, "its process has ended; saving");
  }
}

}  // namespace buoy::engine
