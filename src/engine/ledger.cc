#include <algorithm>
#include <utility>

#include "base/strings.h"
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

JobId payerOf(const Machine& machine) {
  return machine.job ? machine.job : machine.rival_of;
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
  const Duration length = piece.end - piece.begin;
  const Money paid = cost(piece.price, length);
  noteCharge(machine, {job ? job->job.id : JobId{}, attempt, use, paid});
  if (!job) return;
  Ledger& ledger = ledgerOf(job->job);
  ledger.time[static_cast<std::size_t>(use)] += length;
  ledger.cost[static_cast<std::size_t>(use)] += paid;
  if (use == Use::useful || (use == Use::starting && attempt == 1)) {
    ledger.on_demand_cost += cost(piece.on_demand_price, length);
  }
  touch(*job);
}

// The provider may tell of a machine late, after its agent has spoken: what was billed before is added.
void Stepper::startBilling(MachineSlot& slot, Time since) {
  Machine& machine = slot.machine;
  const MachineSlot* const host = s_.findMachine(machine.host);
  if (host && host->machine.billed_from == Time{}) return;  // begins with it
  since = since == Time{} ? now_ : std::clamp(since, std::min(machine.requested, now_), now_);
  if (machine.billed_from == Time{}) {
    machine.billed_from = machine.span_begin = since;
    const bool works = machine.phase != MachinePhase::releasing && !machine.rival_of;
    machine.use = works ? Use::starting : Use::waiting;
    touch(slot);
    for (const MachineId part : slot.parts) startBilling(*s_.findMachine(part), since);
  } else if (since < machine.billed_from) {
    JobSlot* const job = s_.findJob(payerOf(machine));
    for (const MachineId part : slot.parts) startBilling(*s_.findMachine(part), since);
    emitRest(slot, job, job ? attemptOf(job->job, machine) : 0,
             machine.rival_of ? Use::waiting : Use::starting,
             {since, machine.billed_from, machine.price, machine.on_demand_price});
    machine.billed_from = since;
    touch(slot);
  }
}

// Its parts pay for what they have of it, each from its own beginning on; it is closed when one of them ends.
void Stepper::emitRest(MachineSlot& slot, JobSlot* job, std::uint32_t attempt, Use use, HeldTime piece) {
  while (piece.begin < piece.end) {
    HeldTime rest = piece;
    for (const MachineId id : slot.parts) {
      const Machine& part = s_.findMachine(id)->machine;
      if (part.billed_from == Time{}) continue;
      if (part.billed_from > piece.begin) {
        rest.end = std::min(rest.end, part.billed_from);
      } else {
        rest.price.nano_usd -= part.price.nano_usd;
      }
    }
    emitSpan(slot.machine.id, job, attempt, use, rest);
    piece.begin = rest.end;
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
  JobSlot* const job = s_.findJob(payerOf(machine));
  emitRest(slot, job, job ? attemptOf(job->job, machine) : 0, machine.use, piece);
}

// What was closed meanwhile and is not in the ledger yet can still be put right.
void Stepper::cutHeld(MachineSlot& slot, Time until) {
  Member* const member = memberOf(slot);
  if (!member || until >= slot.machine.span_begin) return;
  for (HeldTime& piece : member->held) piece.end = std::clamp(until, piece.begin, piece.end);
  std::erase_if(member->held, [](const HeldTime& piece) { return piece.end <= piece.begin; });
}

// ---- what is charged otherwise than by time

void Stepper::noteCharge(MachineId machine, const Charge& piece) {
  MachineSlot* slot = s_.findMachine(machine);
  if (slot && slot->machine.host) slot = s_.findMachine(slot->machine.host);  // it is the one that is billed
  if (!slot || slot->machine.market != Market::spot || slot->machine.phase == MachinePhase::gone) return;
  const Duration free_within = slot->pool->pool.billing.free_within;
  std::vector<Charge>& charges = slot->machine.charges;
  // News of an end may be late.
  if (now_ - slot->machine.billed_from >= 2 * free_within) {
    if (charges.empty()) return;
    charges.clear();
    return touch(*slot);
  }
  const auto same = std::find_if(charges.begin(), charges.end(), [&](const Charge& each) {
    return each.job == piece.job && each.attempt == piece.attempt && each.use == piece.use;
  });
  if (same != charges.end()) {
    same->cost += piece.cost;
  } else {
    charges.push_back(piece);
  }
  touch(*slot);
}

// A job that has finished is charged no more: then it is on nobody's account.
void Stepper::charge(MachineSlot& slot, const Charge& amount, Time at) {
  if (amount.cost == Money{}) return;
  JobSlot* job = amount.job ? s_.findJob(amount.job) : nullptr;
  if (job && isTerminal(job->job.phase)) job = nullptr;
  out_.changes.spans.push_back({.machine = slot.machine.id,
                                .job = job ? amount.job : JobId{},
                                .attempt = job ? amount.attempt : 0,
                                .use = amount.use,
                                .begin = at,
                                .end = at,
                                .amount = amount.cost});
  if (!job) return;
  ledgerOf(job->job).cost[static_cast<std::size_t>(amount.use)] += amount.cost;
  touch(*job);
}

void Stepper::settleBill(MachineSlot& slot, Time until, bool taken_back) {
  Machine& machine = slot.machine;
  const BillingRule& rule = slot.pool->pool.billing;
  if (rule == BillingRule{} || machine.billed_from == Time{} || machine.host) return;
  const std::vector<Charge> charges = std::exchange(machine.charges, {});
  touch(slot);
  const Duration used = std::max(until - machine.billed_from, Duration{0});
  if (taken_back && machine.market == Market::spot && used < rule.free_within) {
    for (Charge each : charges) {
      each.cost = Money{-each.cost.nano_usd};
      charge(slot, each, until);
    }
    if (Member* const member = memberOf(slot)) {
      for (HeldTime& piece : member->held) piece.price = PricePerHour{};
    }
    record("free",
           strCat({machine.id.toString(), " costs nothing: it was taken back after ", formatDuration(used)}),
           machine);
    return;
  }
  if (used >= rule.least) return;
  const JobSlot* const job = machine.job ? s_.findJob(machine.job) : nullptr;
  charge(slot,
         {machine.job, job ? attemptOf(job->job, machine) : 0, Use::waiting,
          cost(machine.price, rule.least - used)},
         until);
}

void Stepper::freeParts(MachineSlot& slot, Time until) {
  if (slot.machine.market != Market::spot || slot.machine.billed_from == Time{} ||
      until - slot.machine.billed_from >= slot.pool->pool.billing.free_within)
    return;
  for (const MachineId id : slot.parts) {
    MachineSlot& part = *s_.findMachine(id);
    cutHeld(part, until);
    closeSpan(part, until);
    if (Member* const member = memberOf(part)) {
      for (HeldTime& piece : member->held) piece.price = PricePerHour{};
    }
  }
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
