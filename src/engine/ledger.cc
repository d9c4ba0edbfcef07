#include <algorithm>

#include "engine/stepper.h"

// Where a machine's billed time went. Spans of one machine touch: each closing begins the next at the same
// instant.
namespace buoy::engine {
namespace {

std::uint32_t attemptOf(const Job& job, const Machine& machine) {
  for (const Attempt* const attempt : {job.current.get(), job.next.get()}) {
    if (!attempt) continue;
    for (const Member& member : attempt->members) {
      if (member.machine == machine.id) return attempt->number;
    }
  }
  return job.attempts;
}

}  // namespace

Ledger& ledgerOf(Job& job) {
  if (!job.ledger) job.ledger = std::make_unique<Ledger>();
  return *job.ledger;
}

void Stepper::emitSpan(MachineId machine, JobSlot* job, std::uint32_t attempt, Use use,
                       const HeldTime& piece) {
  if (piece.end <= piece.begin) return;
  out_.changes.spans.push_back({.machine = machine,
                                .job = job ? job->job.id : JobId{},
                                .attempt = attempt,
                                .use = use,
                                .begin = piece.begin,
                                .end = piece.end,
                                .price = piece.price,
                                .on_demand_price = piece.on_demand_price});
  if (!job) return;
  const Duration length = piece.end - piece.begin;
  Ledger& ledger = ledgerOf(job->job);
  ledger.time[static_cast<std::size_t>(use)] += length;
  ledger.cost[static_cast<std::size_t>(use)] += cost(piece.price, length);
  if (use == Use::useful || (use == Use::starting && attempt == 1)) {
    ledger.on_demand_cost += cost(piece.on_demand_price, length);
  }
  touch(*job);
}

// The provider may tell of a machine late, after its agent has spoken: what was billed before is added.
void Stepper::startBilling(MachineSlot& slot, Time since) {
  Machine& machine = slot.machine;
  since = since == Time{} ? now_ : std::clamp(since, std::min(machine.requested, now_), now_);
  if (machine.billed_from == Time{}) {
    machine.billed_from = machine.span_begin = since;
    machine.use = machine.phase == MachinePhase::releasing ? Use::waiting : Use::starting;
    touch(slot);
  } else if (since < machine.billed_from) {
    JobSlot* const job = machine.job ? s_.findJob(machine.job) : nullptr;
    emitSpan(machine.id, job, job ? attemptOf(job->job, machine) : 0, Use::starting,
             {since, machine.billed_from, machine.price, machine.on_demand_price});
    machine.billed_from = since;
    touch(slot);
  }
}

// What happens to a machine that is gone is on nobody's account.
void Stepper::closeSpan(MachineSlot& slot, Time at) {
  Machine& machine = slot.machine;
  if (machine.billed_from == Time{} || machine.phase == MachinePhase::gone) return;
  at = std::clamp(at, machine.span_begin, now_);
  if (at == machine.span_begin) return;
  const HeldTime piece{machine.span_begin, at, machine.price, machine.on_demand_price};
  machine.span_begin = at;
  touch(slot);
  if (machine.use == Use::useful) {
    JobSlot* job = nullptr;
    Member* const member = memberOf(slot, &job);
    BUOY_CHECK(member != nullptr);
    member->held.push_back(piece);
    touch(*job);
    return;
  }
  JobSlot* const job = machine.job ? s_.findJob(machine.job) : nullptr;
  emitSpan(machine.id, job, job ? attemptOf(job->job, machine) : 0, machine.use, piece);
}

// What was closed meanwhile and is not in the ledger yet can still be put right.
void Stepper::cutHeld(MachineSlot& slot, Time until) {
  Member* const member = memberOf(slot);
  if (!member || until >= slot.machine.span_begin) return;
  for (HeldTime& piece : member->held) piece.end = std::clamp(until, piece.begin, piece.end);
  std::erase_if(member->held, [](const HeldTime& piece) { return piece.end <= piece.begin; });
}

void Stepper::turn(MachineSlot& slot, Use use, Time at) {
  if (slot.machine.use == use) return;
  closeSpan(slot, at);
  slot.machine.use = use;
  touch(slot);
}

// The work done before `covered` is in a committed version: it will not be done again.
void Stepper::settleUseful(JobSlot& slot, Time covered) {
  Attempt& attempt = *slot.job.current;
  covered = std::min(covered, now_);
  for (Member& member : attempt.members) {
    MachineSlot* const machine = s_.findMachine(member.machine);
    if (machine && member.phase == MemberPhase::running && machine->machine.use == Use::useful) {
      closeSpan(*machine, covered);
    }
    std::size_t known = 0;
    for (HeldTime& piece : member.held) {
      if (piece.begin >= covered) break;
      HeldTime settled = piece;
      settled.end = std::min(piece.end, covered);
      emitSpan(member.machine, &slot, attempt.number, Use::useful, settled);
      member.accounted_until = settled.end;
      piece.begin = settled.end;
      if (piece.begin < piece.end) break;
      ++known;
    }
    member.held.erase(member.held.begin(), member.held.begin() + static_cast<std::ptrdiff_t>(known));
  }
}

// The attempt is over: what is still held back is now known to be `use`.
void Stepper::settleRest(JobSlot& slot, Use use) {
  Attempt& attempt = *slot.job.current;
  for (Member& member : attempt.members) {
    for (const HeldTime& piece : member.held) {
      emitSpan(member.machine, &slot, attempt.number, use, piece);
      member.accounted_until = piece.end;
    }
    member.held.clear();
  }
}

}  // namespace buoy::engine
