#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Where a pool packs, jobs share machines. A machine that jobs share runs none itself; each job has a part of
// it: a machine to everything else here, with an agent, a lease and an end of its own, which the host's agent
// opens and closes as the host's directive says. A part goes to the machine with the least room that is
// enough, of those that are up or coming; what it needs is its own until its agent is known to have ended. Of
// the host's price it pays its share, and the host, on nobody's account, the rest.
namespace buoy::engine {
namespace {

__extension__ typedef __int128 Int128;

void use(Resources& used, const Resources& part, int sign) {
  used.milli_cpus += sign * part.milli_cpus;
  used.gpus += sign * part.gpus;
  used.memory.value =
      sign > 0 ? used.memory.value + part.memory.value : used.memory.value - part.memory.value;
}

}  // namespace

PricePerHour partOf(PricePerHour price, const Resources& have, const Resources& all) {
  const Int128 cpus = have.milli_cpus, all_cpus = std::max(all.milli_cpus, 1);
  if (all.gpus <= 0) return {static_cast<std::int64_t>(Int128{price.nano_usd} * cpus / all_cpus)};
  const Int128 share = cpus * all.gpus + Int128{have.gpus} * all_cpus;
  return {static_cast<std::int64_t>(Int128{price.nano_usd} * share / (2 * all_cpus * all.gpus))};
}

std::int64_t fitting(const Resources& all, const Resources& used, const Resources& need) {
  std::int64_t count = (std::int64_t{all.milli_cpus} - used.milli_cpus) / std::max(need.milli_cpus, 1);
  if (need.gpus > 0) count = std::min<std::int64_t>(count, (all.gpus - used.gpus) / need.gpus);
  if (need.memory.value > 0) {
    const std::uint64_t left = all.memory.value - std::min(all.memory.value, used.memory.value);
    count = std::min(count, static_cast<std::int64_t>(left / need.memory.value));
  }
  return std::max<std::int64_t>(count, 0);
}

bool takesParts(const MachineSlot& slot) {
  const Machine& machine = slot.machine;
  const bool coming_or_up = machine.phase < MachinePhase::releasing;
  const bool own = machine.job || machine.rival_of || machine.host || !machine.holder.empty();
  return coming_or_up && !own && !machine.notice_deadline && !machine.unreachable &&
         machine.launch_failures == 0;
}

std::string nameOf(const State::Impl& state, const Machine& machine) {
  const MachineSlot* const host = state.findMachine(machine.host);
  const MachineType* const type = host ? typeOf(host->pool->pool, host->machine.type) : nullptr;
  if (!type) return machine.id.toString();
  const std::int64_t percent = partOf({1000}, machine.part, type->resources).nano_usd / 10;
  return strCat(
      {machine.id.toString(), " (", std::to_string(percent), "% of ", machine.host.toString(), ")"});
}

// Up before coming, and then the fullest, so that others empty and can be given back.
MachineSlot* Stepper::hostFor(PoolSlot& pool, const Resources& need, Market market) {
  MachineSlot* best = nullptr;
  std::pair<bool, std::int32_t> best_left;
  for (const MachineId id : pool.roomy) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.market != market || !takesParts(slot)) continue;
    const MachineType* const type = typeOf(pool.pool, slot.machine.type);
    if (!type || fitting(type->resources, slot.used, need) == 0) continue;
    const std::pair left{!isUp(slot.machine), type->resources.milli_cpus - slot.used.milli_cpus};
    if (best && left >= best_left) continue;
    best = &slot;
    best_left = left;
  }
  return best;
}

MachineSlot& Stepper::openPart(MachineSlot& host, const Resources& need) {
  const MachineId id{s_.next_machine++};
  MachineSlot& slot = s_.machines.make(id.value);
  slot.pool = host.pool;
  slot.timer.id = id.value;
  slot.timer.kind = TimerKind::machine;
  const Machine& whole = host.machine;
  const MachineType& type = *typeOf(host.pool->pool, whole.type);
  Machine& part = slot.machine;
  part.id = id;
  part.pool = whole.pool;
  part.type = whole.type;
  part.market = whole.market;
  part.address = whole.address;
  part.host = whole.id;
  part.part = need;
  for (std::int32_t device = 0; static_cast<std::int32_t>(part.devices.size()) < need.gpus; ++device) {
    const bool taken = std::any_of(host.parts.begin(), host.parts.end(), [&](MachineId other) {
      const auto& devices = s_.findMachine(other)->machine.devices;
      return std::find(devices.begin(), devices.end(), device) != devices.end();
    });
    if (!taken) part.devices.push_back(device);
  }
  part.price = partOf(whole.price, need, type.resources);
  part.on_demand_price = partOf(whole.on_demand_price, need, type.resources);
  part.requested = part.phase_since = now_;
  host.parts.push_back(id);
  use(host.used, need, 1);
  if (host.used.milli_cpus >= type.resources.milli_cpus) host.pool->roomy.erase(whole.id);
  if (whole.phase == MachinePhase::idle) enterPhase(host, MachinePhase::assigned);
  if (isUp(whole)) part.phase = MachinePhase::booting;
  if (whole.billed_from != Time{}) startBilling(slot, now_);
  touch(slot);
  touch(host);
  redirect(host);
  return slot;
}

// Its agent opens the parts that wait for it.
void Stepper::hostUp(MachineSlot& host) {
  for (const MachineId id : host.parts) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.phase == MachinePhase::requested) enterPhase(slot, MachinePhase::booting);
    if (slot.machine.address.empty()) slot.machine.address = host.machine.address;
  }
  redirect(host);
}

void Stepper::on(const PartClosed& event) {
  MachineSlot* const slot = s_.findMachine(event.part);
  if (!slot || slot->machine.phase == MachinePhase::gone || slot->machine.host != event.machine) return;
  const bool opened = slot->machine.phase != MachinePhase::booting;
  std::string detail = event.detail.empty() ? "its agent has ended" : event.detail;
  if (!opened) {
    // Nothing more is put where no agent can be started.
    ++s_.findMachine(event.machine)->machine.launch_failures;
    noteLaunchFailure(*slot->pool, slot->machine.market, LaunchError::other, detail);
  }
  endPart(*slot, GoneReason::vanished, std::move(detail), now_);
}

void Stepper::endPart(MachineSlot& slot, GoneReason reason, std::string detail, Time until) {
  Machine& machine = slot.machine;
  const bool wanted = machine.phase == MachinePhase::releasing;
  const bool coming = machine.phase == MachinePhase::requested || machine.phase == MachinePhase::booting;
  detail = strCat({machine.id.toString(), wanted ? " is closed: " : " is lost: ", detail});
  record(wanted ? "gone" : "lost", detail, machine);
  JobSlot* const job = s_.findJob(machine.job);
  if (job && coming) noteStuck(*job, StuckFor::no_capacity);
  if (!wanted && job && machine.phase != MachinePhase::requested && !machine.notice_deadline &&
      reason != GoneReason::terminated) {
    ++ledgerOf(job->job).reclaims_unnoticed;
    touch(*job);
  }
  machine.taken = !wanted && reason != GoneReason::terminated;
  cutHeld(slot, until);
  closeSpan(slot, until);
  enterPhase(slot, MachinePhase::gone);
  loseMachine(slot, detail);
}

void Stepper::endParts(MachineSlot& host, GoneReason reason, const std::string& detail, Time until) {
  host.ending = true;
  for (const MachineId id : std::vector<MachineId>(host.parts)) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.phase != MachinePhase::gone) endPart(slot, reason, detail, until);
  }
}

void Stepper::leaveHost(MachineSlot& slot) {
  MachineSlot* const host = s_.findMachine(slot.machine.host);
  if (!host || host->machine.phase == MachinePhase::gone) return;
  // At the instant up to which the part has paid.
  if (slot.machine.billed_from != Time{}) closeSpan(*host, slot.machine.span_begin);
  std::erase(host->parts, slot.machine.id);
  use(host->used, slot.machine.part, -1);
  touch(*host);
  redirect(*host);
  if (host->ending) return;
  if (host->pool->pool.pack) host->pool->roomy.insert(host->machine.id);
  if (!host->parts.empty()) return;
  switch (host->machine.phase) {
    case MachinePhase::requested:
    case MachinePhase::booting:
      if (!isLeast(host->machine)) release(*host, "no longer needed");
      return;
    case MachinePhase::assigned:
      if (host->machine.notice_deadline) return release(*host, "it is about to be reclaimed");
      if (host->machine.launch_failures > 0) return release(*host, "no agent could be started on it");
      return makeIdle(*host);
    case MachinePhase::idle:
    case MachinePhase::releasing:
    case MachinePhase::gone:
      return;
  }
}

// Whoever could close its parts is not heard from, or closes none (an agent that knows of no parts), and
// nobody needs any of them: it is ended as a whole.
void Stepper::leaveSilentHost(const MachineSlot& slot) {
  MachineSlot* const host = s_.findMachine(slot.machine.host);
  if (!host || !isUp(host->machine)) return;
  const bool deaf = now_ >= slot.machine.phase_since + settings_.boot_timeout;
  if (!host->machine.unreachable && !deaf) return;
  const bool needed = std::any_of(host->parts.begin(), host->parts.end(), [&](MachineId part) {
    return s_.findMachine(part)->machine.phase != MachinePhase::releasing;
  });
  if (needed) return;
  release(*host, host->machine.unreachable ? "it is not heard from, and nobody needs it"
                                           : "it closes none of its parts, and nobody needs them");
}

void Stepper::pricePart(MachineSlot& slot, const Machine& host, PricePerHour before) {
  Machine& part = slot.machine;
  if (const MachineType* const type = typeOf(slot.pool->pool, host.type)) {
    part.price = partOf(host.price, part.part, type->resources);
    part.on_demand_price = partOf(host.on_demand_price, part.part, type->resources);
  } else if (before.nano_usd > 0) {  // the pool has it no more
    part.price.nano_usd =
        static_cast<std::int64_t>(Int128{part.price.nano_usd} * host.price.nano_usd / before.nano_usd);
  }
  touch(slot);
}

}  // namespace buoy::engine
