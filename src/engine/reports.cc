#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "engine/stepper.h"

// What agents say about the job on their machine, and what it means when they no longer can.
namespace buoy::engine {

Member* Stepper::memberOf(const MachineSlot& machine, JobSlot** job) {
  if (!machine.machine.job) return nullptr;
  JobSlot* const slot = s_.findJob(machine.machine.job);
  if (job) *job = slot;
  if (!slot || !slot->job.current || !slot->job.current->directed) return nullptr;
  std::vector<Member>& members = slot->job.current->members;
  const auto rank = static_cast<std::size_t>(machine.machine.rank);
  if (rank < members.size() && members[rank].machine == machine.machine.id) return &members[rank];
  return nullptr;
}

void Stepper::on(const AgentReport& event) {
  MachineSlot* const machine = s_.findMachine(event.machine);
  if (!machine || machine->machine.phase == MachinePhase::gone) {
    out_.actions.push_back(DirectAgent{event.machine, directiveOf(s_, nullptr)});
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  hear(*machine);
  if (!event.job) return;
  JobSlot* job = nullptr;
  Member* const member = memberOf(*machine, &job);
  if (!member || machine->machine.job != event.job || job->job.current->epoch != event.epoch) {
    redirect(*machine);
    return refuse(ErrorCode::failed_precondition,
                  strCat({event.machine.toString(), " does not run epoch ", std::to_string(event.epoch),
                          " of ", event.job.toString(), " any more"}));
  }
  if (member->phase == MemberPhase::done) return;
  Time ended = now_;
  for (const AgentReport::PhaseChange& change : event.phases) {
    if (change.phase == MemberPhase::done) {
      ended = change.at;
    } else if (change.phase > member->phase) {
      enterMemberPhase(*job, *machine, *member, change.phase, change.at);
    }
  }
  if (event.committed_version > member->committed_version) {
    commit(*job, *member, event);
  }
  if (event.result) {
    const Time at = std::clamp(ended, std::min(member->phase_since, now_), now_);
    turn(*machine, Use::waiting, at);
    member->phase_since = at;
    finishMember(*job, *machine, *member, *event.result);
    advance(*job);
  }
}

void Stepper::enterMemberPhase(JobSlot& slot, MachineSlot& machine, Member& member, MemberPhase phase,
                               Time at) {
  Job& job = slot.job;
  at = std::clamp(at, std::min(member.phase_since, now_), now_);
  const MemberPhase before = member.phase;
  const Duration took = at - member.phase_since;
  switch (phase) {
    case MemberPhase::assigned:
    case MemberPhase::done:
      return;
    case MemberPhase::preparing:
      turn(machine, Use::starting, at);
      break;
    case MemberPhase::restoring:
      turn(machine, Use::restoring, at);
      break;
    case MemberPhase::running:
      turn(machine, Use::useful, at);
      member.running_since = at;
      member.accounted_until = at;
      break;
    case MemberPhase::saving:
      turn(machine, Use::saving, at);
      break;
  }
  member.phase = phase;
  member.phase_since = at;
  touch(slot);
  if (phase == MemberPhase::saving) return leaveRunning(slot, at);
  if (phase != MemberPhase::running) return;
  if (before == MemberPhase::restoring && job.last_version > 0) {
    // Which version, only the agent knows: more may have been committed while the control plane was away.
    record("restored", "restored its checkpoint in " + formatDuration(took), job, member.machine);
  } else if (job.last_version == 0 && job.current->number > 1 && &member == &job.current->members.front()) {
    record("begins_again", "nothing of it was saved before: it begins again", job, member.machine);
  }
  const auto& members = job.current->members;
  const bool whole = std::all_of(members.begin(), members.end(),
                                 [](const Member& each) { return each.phase >= MemberPhase::running; });
  if (!whole || job.current->interrupted || job.stop != StopReason::none || job.paused) return;
  noteSetup(slot, at);
  record("running", strCat({"attempt ", std::to_string(job.current->number), " runs"}), job, member.machine);
  enterPhase(slot, JobPhase::running, at, "running");
}

void Stepper::commit(JobSlot& slot, Member& member, const AgentReport& report) {
  Job& job = slot.job;
  const std::uint64_t version = report.committed_version;
  member.committed_version = version;
  job.last_version = std::max(job.last_version, version);
  touch(slot);
  job.last_save = report.save;
  settleUseful(slot, report.committed_covers);
  noteSaved(slot, report.committed_covers);
  record("committed", strCat({"checkpoint version ", std::to_string(version), " is committed"}), job,
         member.machine);
  if (job.save_asked == Time{} || report.committed_covers < job.save_asked) return;
  job.save_asked = Time{};
  record("saved", strCat({"version ", std::to_string(version), " is the save that was asked for"}), job,
         member.machine);
}

// The member's machine has its time after the end on `waiting` already. The caller advances the job.
void Stepper::finishMember(JobSlot& slot, MachineSlot& machine, Member& member, MemberResult result) {
  member.phase = MemberPhase::done;
  member.result = std::move(result);
  touch(slot);
  const MemberResult& ended = *member.result;
  const bool unfit = ended.kind == MemberResult::Kind::machine_lost;
  leaveRunning(slot, member.phase_since);
  if (unfit) {
    record("unfit", strCat({machine.machine.id.toString(), " is unfit: ", ended.detail}), machine.machine);
    noteLaunchFailure(*machine.pool, machine.machine.market, LaunchError::other, ended.detail);
  }
  if (machine.machine.phase == MachinePhase::releasing) {
    giveBack(machine);
  } else if (unfit || machine.machine.notice_deadline) {
    release(machine, unfit ? "it is unfit" : "its job has saved and left before the reclaim");
    vacate(slot, machine.machine.id);
  }
  switch (ended.kind) {
    case MemberResult::Kind::exited:
      if (slot.job.request.main_decides && &member != slot.job.current->members.data()) return;
      if (isDecided(slot.job)) return endWithMain(slot);
      if (ended.exit_code != 0) verifyFailure(slot, member);
      return;
    case MemberResult::Kind::setup_failed:
      return verifyFailure(slot, member);
    case MemberResult::Kind::machine_lost:
      return interrupt(slot, "its machine is unfit");
    case MemberResult::Kind::stopped:
    case MemberResult::Kind::fenced:
      // The agent's own decision (it saw a notice first, or had been cut off for long), or the answer to a
      // directive.
      return interrupt(slot, "its agent has stopped it");
  }
}

void Stepper::loseMember(JobSlot& slot, MachineSlot& machine, Member& member, std::string detail) {
  Job& job = slot.job;
  turn(machine, Use::waiting, now_);
  member.phase = MemberPhase::done;
  member.phase_since = now_;
  member.result = MemberResult{.kind = MemberResult::Kind::machine_lost, .exit_code = 0, .detail = detail};
  touch(slot);
  interrupt(slot, detail);
  if (job.stop == StopReason::none && !job.current->failed && !job.paused && !isDecided(job))
    enterPhase(slot, JobPhase::recovering, now_, std::move(detail));
}

void Stepper::loseMachine(MachineSlot& machine, std::string detail) {
  JobSlot* const job = s_.findJob(machine.machine.job);
  if (!job) return;
  Member* const member = memberOf(machine);
  if (member && member->phase != MemberPhase::done) loseMember(*job, machine, *member, std::move(detail));
  giveBack(machine);
  vacate(*job, machine.machine.id);
  advance(*job);
}

void Stepper::noticeMember(JobSlot& slot, MachineSlot& machine, Member& member) {
  stopMember(slot, member, StopReason::notice);
  interrupt(slot, strCat({machine.machine.id.toString(), " is about to be reclaimed"}));
  vacate(slot, machine.machine.id);
}

// ---- whose failure is it

// A member failed by itself. In a gang the loss of a peer's machine makes survivors fail, often before the
// provider reports the loss: so the other machines are asked first.
void Stepper::verifyFailure(JobSlot& slot, Member& failed) {
  Job& job = slot.job;
  Attempt& attempt = *job.current;
  if (attempt.interrupted || attempt.failed || job.stop != StopReason::none ||
      failed.stop != StopReason::none || isDecided(job))
    return;
  touch(slot);
  if (attempt.members.size() == 1) {
    attempt.failed = true;
    return;
  }
  if (attempt.verify_until == Time{}) {
    attempt.verify_until = now_ + settings_.verify_timeout;
    for (Member& member : attempt.members) member.verified = false;
  }
  failed.verified = true;
  record("verifying", "a member failed: the other machines are asked before it counts as the job's failure",
         job, failed.machine);
  askPeers(slot);
}

// The others have nothing left to do. One that was lost meanwhile is not missed: no attempt follows.
void Stepper::endWithMain(JobSlot& slot) {
  s_.dequeue(slot);
  if (slot.job.next) dissolve(slot);
  Attempt& attempt = *slot.job.current;
  attempt.verify_until = Time{};
  const bool interrupted = std::exchange(attempt.interrupted, false);
  touch(slot);
  const std::vector<Member>& members = attempt.members;
  const bool all = std::all_of(members.begin(), members.end(),
                               [](const Member& each) { return each.phase == MemberPhase::done; });
  if (all) return;
  record("main_ended", "its main machine has ended well: the others are stopped", slot.job,
         members[0].machine);
  if (interrupted && !slot.job.paused)
    enterPhase(slot, JobPhase::stopping, now_, "its main machine has ended well");
  stopPeers(slot, StopReason::main_ended);
}

void Stepper::askPeers(JobSlot& slot) {
  bool all = true;
  for (Member& member : slot.job.current->members) {
    if (member.verified) continue;
    const MachineSlot* const machine = s_.findMachine(member.machine);
    if (!machine || machine->machine.phase != MachinePhase::assigned) {
      member.verified = true;  // it ended before the failure, and its machine was given back
      continue;
    }
    out_.actions.push_back(QueryMachine{member.machine});
    all = false;
  }
  if (all) confirmFailure(slot);
}

void Stepper::confirmFailure(JobSlot& slot) {
  Attempt& attempt = *slot.job.current;
  attempt.verify_until = Time{};
  attempt.failed = true;
  touch(slot);
  stopPeers(slot, StopReason::peer_failed);
  advance(slot);
}

}  // namespace buoy::engine
