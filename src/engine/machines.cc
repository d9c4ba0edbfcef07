#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// The life of a machine: requested, booting, idle or assigned, releasing, gone.
namespace buoy::engine {
namespace {

std::string describe(const Machine& machine) {
  if (machine.host)
    return strCat({"a part of ", machine.host.toString(), " (", formatMoney(Money{machine.price.nano_usd}),
                   "/h of it) in pool ", machine.pool});
  return strCat({machine.type, " (", machine.market == Market::spot ? "spot" : "on-demand", ", ",
                 formatMoney(Money{machine.price.nano_usd}), "/h) from pool ", machine.pool});
}

std::string_view toText(LaunchError error) {
  switch (error) {
    case LaunchError::capacity:
      return "no capacity";
    case LaunchError::quota:
      return "quota reached";
    case LaunchError::throttled:
      return "throttled";
    case LaunchError::price:
      return "price above the limit";
    case LaunchError::invalid:
      return "refused as invalid";
    case LaunchError::other:
      return "failed";
  }
  return "failed";
}

// Machines that are there or on their way.
std::int32_t liveIn(const State::Impl& state, const PoolSlot& pool) {
  return static_cast<std::int32_t>(std::count_if(
      pool.machines.begin(), pool.machines.end(),
      [&](MachineId id) { return state.findMachine(id)->machine.phase != MachinePhase::releasing; }));
}

PricePerHour priceOf(const MachineType& type, Market market) {
  return market == Market::spot ? type.spot_price : type.on_demand_price;
}

}  // namespace

// ---- phases

MachineSlot& Stepper::launch(PoolSlot& pool, const MachineType& type, Market market) {
  const MachineId id{s_.next_machine++};
  MachineSlot& slot = s_.machines.make(id.value);
  slot.pool = &pool;
  slot.timer.id = id.value;
  slot.timer.kind = TimerKind::machine;
  Machine& machine = slot.machine;
  machine.id = id;
  machine.pool = pool.pool.name;
  machine.type = type.name;
  machine.market = market;
  machine.price = priceOf(type, market);
  machine.on_demand_price = type.on_demand_price;
  machine.requested = machine.phase_since = now_;
  pool.machines.insert(id);
  if (pool.pool.pack) pool.roomy.insert(id);
  ++(market == Market::spot ? pool.requested_spot : pool.requested_on_demand);
  out_.actions.push_back(LaunchMachine{id});
  touch(slot);
  return slot;
}

void Stepper::enterPhase(MachineSlot& slot, MachinePhase phase) {
  Machine& machine = slot.machine;
  PoolSlot& pool = *slot.pool;
  if (machine.phase == MachinePhase::requested && !machine.host) {
    --(machine.market == Market::spot ? pool.requested_spot : pool.requested_on_demand);
    if (pool.pool.consecutive_failures + pool.pool.spot_failures > 0)
      s_.wake(pool);  // the trial launch has answered
  }
  if (machine.phase == MachinePhase::idle) pool.idle.erase(machine.id);
  machine.phase = phase;
  machine.phase_since = now_;
  if (phase == MachinePhase::gone) noteLife(slot);
  if (phase == MachinePhase::idle && machine.holder.empty()) {
    pool.idle.insert(machine.id);
    s_.freed.push_back(machine.id);
    s_.wake(pool);
  }
  if (phase == MachinePhase::releasing) slot.next_query = now_ + settings_.query_every;
  if (phase == MachinePhase::gone) {
    if (!slot.parts.empty()) endParts(slot, GoneReason::vanished, machine.id.toString() + " is gone", now_);
    if (machine.host) leaveHost(slot);
    pool.roomy.erase(machine.id);
    pool.machines.erase(machine.id);
    s_.wake(pool);
  }
  touch(slot);
}

void Stepper::connected(MachineSlot& slot) {
  Machine& machine = slot.machine;
  startBilling(slot);
  if (machine.phase == MachinePhase::requested && !machine.host)
    noteLaunchSuccess(*slot.pool, machine.market);
  // Not one that came up while nobody was there to see it.
  if (machine.requested >= s_.resumed_at && !machine.host)
    noteLaunchTime(*slot.pool, now_ - machine.requested);
  record("machine_up",
         strCat({machine.id.toString(), " is up after ", formatDuration(now_ - machine.requested), ": ",
                 describe(machine)}),
         machine);
  turn(slot, Use::waiting, now_);
  machine.lease_until = now_ + settings_.lease;
  if (const JobId raced = machine.rival_of; raced && !winRace(slot, raced))
    return release(slot, "another one was up before it");
  const bool owned = static_cast<bool>(machine.job);
  enterPhase(slot, owned || !slot.parts.empty() ? MachinePhase::assigned : MachinePhase::idle);
  if (!slot.parts.empty()) return hostUp(slot);
  JobSlot* const job = owned ? s_.findJob(machine.job) : nullptr;
  if (!job) return;
  if (Attempt* const attempt = forming(job->job))
    endRace(*job, *attempt, machine.id.toString() + " was up before it");
  advance(*job);
}

void Stepper::assign(MachineSlot& slot, const Job& job, Epoch epoch, std::int32_t rank) {
  Machine& machine = slot.machine;
  closeSpan(slot, now_);
  machine.job = job.id;
  machine.epoch = epoch;
  machine.rank = rank;
  machine.rival_of = JobId{};
  if (machine.phase == MachinePhase::idle) enterPhase(slot, MachinePhase::assigned);
  touch(slot);
}

namespace {

void disown(Machine& machine) {
  machine.job = JobId{};
  machine.epoch = 0;
  machine.rank = 0;
  machine.rival_of = JobId{};
}

}  // namespace

void Stepper::makeIdle(MachineSlot& slot) {
  closeSpan(slot, now_);
  slot.machine.use = Use::waiting;
  disown(slot.machine);
  enterPhase(slot, MachinePhase::idle);
  redirect(slot);
}

void Stepper::release(MachineSlot& slot, std::string why) {
  Machine& machine = slot.machine;
  closeSpan(slot, now_);
  machine.use = Use::waiting;
  disown(machine);
  machine.holder.clear();
  // Its host is not up: there is nothing to be closed.
  const bool unopened = machine.host && machine.phase == MachinePhase::requested;
  enterPhase(slot, unopened ? MachinePhase::gone : MachinePhase::releasing);
  if (!unopened) terminate(slot);
  record("released", strCat({machine.id.toString(), " is released: ", why}), machine);
}

// What of a machine is ended by its host's agent, everything else by its provider.
void Stepper::terminate(MachineSlot& slot) {
  redirect(slot);
  if (!slot.machine.host) {
    out_.actions.push_back(TerminateMachine{slot.machine.id});
  } else if (MachineSlot* const host = s_.findMachine(slot.machine.host)) {
    redirect(*host);
  }
}

void Stepper::forceEnd(MachineSlot& slot, std::string why) {
  enterPhase(slot, MachinePhase::releasing);
  terminate(slot);
  record("forced_end", strCat({slot.machine.id.toString(), " is ended by force: ", why}), slot.machine);
}

void Stepper::giveBack(MachineSlot& slot) {
  Machine& machine = slot.machine;
  switch (machine.phase) {
    case MachinePhase::requested:
    case MachinePhase::booting:
      return release(slot, "no longer needed");
    case MachinePhase::idle:
      return;
    case MachinePhase::assigned:
      if (machine.notice_deadline) return release(slot, "it is about to be reclaimed");
      return makeIdle(slot);
    case MachinePhase::releasing:
    case MachinePhase::gone:
      closeSpan(slot, now_);
      machine.use = Use::waiting;
      disown(machine);
      touch(slot);
      return;
  }
}

void Stepper::hear(MachineSlot& slot) {
  Machine& machine = slot.machine;
  if (machine.phase == MachinePhase::requested || machine.phase == MachinePhase::booting)
    return connected(slot);
  if (!isUp(machine)) return;
  machine.lease_until = now_ + settings_.lease;
  if (!machine.unreachable) return;
  machine.unreachable = false;
  touch(slot);
  record("reachable", strCat({machine.id.toString(), " is heard from again"}), machine);
}

// ---- launches

void Stepper::noteLaunchFailure(PoolSlot& slot, Market market, LaunchError error,
                                const std::string& message) {
  Pool& pool = slot.pool;
  const bool spot_only =
      market == Market::spot && (error == LaunchError::capacity || error == LaunchError::price);
  std::uint32_t& failures = spot_only ? pool.spot_failures : pool.consecutive_failures;
  Time& retry_at = spot_only ? pool.spot_retry_at : pool.retry_at;
  if (now_ < retry_at) return;  // one of many that were in flight: counted already
  const std::uint32_t doublings = std::min<std::uint32_t>(failures, 20);
  ++failures;
  if (spot_only) noteSpot(slot, false);
  const Duration wait =
      std::min(settings_.launch_backoff_max, Duration{settings_.launch_backoff_min.count() << doublings});
  retry_at = now_ + wait;
  touch(slot);
  if (slot.timer.position < 0 || retry_at < slot.timer.at) s_.timers.set(slot.timer, retry_at);
  record("pool_backoff", strCat({"pool ", pool.name, ": ", spot_only ? "spot launches fail" : "launches fail",
                                 " (", toText(error), message.empty() ? "" : ": ", message, "); next try in ",
                                 formatDuration(wait)}));
}

void Stepper::noteLaunchSuccess(PoolSlot& slot, Market market) {
  Pool& pool = slot.pool;
  const bool spot = market == Market::spot;
  if (spot) noteSpot(slot, true);
  if (pool.consecutive_failures == 0 && (!spot || pool.spot_failures == 0)) return;
  pool.consecutive_failures = 0;
  pool.retry_at = Time{};
  if (spot) {
    pool.spot_failures = 0;
    pool.spot_retry_at = Time{};
  }
  touch(slot);
  s_.wake(slot);
}

void Stepper::launchFailed(MachineSlot& slot, LaunchError error, const std::string& message) {
  Machine& machine = slot.machine;
  ++machine.launch_failures;
  if (JobSlot* const job = s_.findJob(machine.job)) noteStuck(*job, StuckFor::no_capacity);
  if (!slot.parts.empty())
    endParts(slot, GoneReason::terminated, machine.id.toString() + " could not be launched", now_);
  record("launch_failed",
         strCat({machine.id.toString(), ", ", describe(machine), ", could not be launched: ", toText(error),
                 message.empty() ? "" : ": ", message}),
         machine);
  noteLaunchFailure(*slot.pool, machine.market, error, message);
  enterPhase(slot, MachinePhase::gone);
  loseMachine(slot, "could not be launched");
}

// The provider may have made it all the same, so it is ended, not forgotten.
void Stepper::bootFailed(MachineSlot& slot) {
  Machine& machine = slot.machine;
  ++machine.launch_failures;
  record(
      "launch_failed",
      strCat({machine.id.toString(), ": no agent connected within ", formatDuration(settings_.boot_timeout)}),
      machine);
  noteLaunchFailure(*slot.pool, machine.market, LaunchError::other, "no agent connected");
  JobSlot* const job = s_.findJob(machine.job);
  if (!slot.parts.empty())
    endParts(slot, GoneReason::terminated, machine.id.toString() + " did not come up", now_);
  // Nothing more is put where no agent can be started.
  if (MachineSlot* const host = s_.findMachine(machine.host)) ++host->machine.launch_failures;
  release(slot, "its agent never connected");
  if (!job) return;
  vacate(*job, machine.id);
  advance(*job);
}

void Stepper::setPrice(MachineSlot& slot, PricePerHour price, PricePerHour on_demand_price, Time since) {
  Machine& machine = slot.machine;
  if (machine.phase == MachinePhase::gone ||
      (machine.price == price && machine.on_demand_price == on_demand_price))
    return;
  // With its parts, at one instant: their prices are pieces of this one.
  Time at = since == Time{} ? now_ : since;
  if (!slot.parts.empty()) at = std::max(at, machine.span_begin);
  for (const MachineId id : slot.parts) at = std::max(at, s_.findMachine(id)->machine.span_begin);
  closeSpan(slot, at);
  for (const MachineId id : slot.parts) closeSpan(*s_.findMachine(id), at);
  const PricePerHour before = machine.price;
  machine.price = price;
  machine.on_demand_price = on_demand_price;
  touch(slot);
  for (const MachineId id : slot.parts) pricePart(*s_.findMachine(id), machine, before);
}

void Stepper::setPrices(PoolSlot& pool, const MachineType& type, Time since, const MachineType* before) {
  for (const MachineId id : pool.machines) {
    MachineSlot& slot = *s_.findMachine(id);
    const Machine& machine = slot.machine;
    if (machine.type != type.name) continue;
    const bool own = before && machine.price != priceOf(*before, machine.market);
    setPrice(slot, own ? machine.price : priceOf(type, machine.market), type.on_demand_price, since);
  }
}

void Stepper::becomeType(MachineSlot& slot, const std::string& name, PricePerHour price) {
  Machine& machine = slot.machine;
  const auto& types = slot.pool->pool.types;
  const auto type =
      std::find_if(types.begin(), types.end(), [&](const MachineType& each) { return each.name == name; });
  if (type == types.end() || machine.phase == MachinePhase::gone) return;
  const bool other = machine.type != name;
  if (other) {
    machine.type = name;
    touch(slot);
    if (!slot.parts.empty()) closeSpan(slot, now_);
    for (const MachineId id : slot.parts) {
      closeSpan(*s_.findMachine(id), now_);
      s_.findMachine(id)->machine.type = name;
      pricePart(*s_.findMachine(id), machine, machine.price);
    }
  }
  // Told again without a price, it says nothing new about that.
  if (price == PricePerHour{} && !other) return;
  setPrice(slot, price == PricePerHour{} ? priceOf(*type, machine.market) : price, type->on_demand_price,
           Time{});
}

// ---- time

Duration Stepper::idleTimeout(const Machine& machine) const {
  if (machine.host) return Duration{0};  // its room is for whoever comes next
  const auto pool = s_.pools.find(machine.pool);
  const Duration own = pool == s_.pools.end() ? Duration{} : pool->second.pool.idle_timeout;
  return own > Duration{0} ? own : settings_.idle_timeout;
}

bool Stepper::isLeast(const Machine& machine) const {
  if (machine.host) return false;
  const auto found = s_.pools.find(machine.pool);
  if (found == s_.pools.end() || !found->second.known || found->second.pool.min_machines <= 0) return false;
  return liveIn(s_, found->second) <= found->second.pool.min_machines;
}

void Stepper::keepLeast(PoolSlot& slot) {
  const Pool& pool = slot.pool;
  if (!slot.known || pool.paused || pool.min_machines <= 0 || pool.types.empty()) return;
  const auto smaller = [](const MachineType& a, const MachineType& b) {
    return a.resources.milli_cpus < b.resources.milli_cpus;
  };
  const MachineType& least = *std::min_element(pool.types.begin(), pool.types.end(), smaller);
  for (std::int32_t live = liveIn(s_, slot); live < pool.min_machines; ++live) {
    PoolView view = viewOf(s_, slot, least.resources);
    view.idle_spot = view.idle_on_demand = 0;
    const PlacementRequest request{.resources = least.resources};
    Placement placement = policy_.place(request, {&view, 1}, now_);
    if (!placement.pool) return;
    auto decision = decisionOn(request, {&view, 1});
    const MachineSlot& machine = launch(slot, *placement.type, placement.market);
    decision->machines = {machine.machine.id};
    Record& made = record("kept",
                          strCat({machine.machine.id.toString(), " is launched because the pool ", pool.name,
                                  " keeps ", std::to_string(pool.min_machines), " in any case"}),
                          machine.machine);
    made.candidates = std::move(placement.candidates);
    made.decision = std::move(decision);
  }
}

std::optional<Time> Stepper::machineDeadline(const Machine& machine, Time next_query) const {
  const Time lease = machine.unreachable ? next_query : machine.lease_until;
  switch (machine.phase) {
    case MachinePhase::requested:
      if (machine.host) return std::nullopt;  // as its host
      [[fallthrough]];
    case MachinePhase::booting:
      return std::max(machine.phase_since, s_.resumed_at) + settings_.boot_timeout;
    case MachinePhase::idle:
      return machine.holder.empty() && !isLeast(machine)
                 ? std::min(lease, machine.phase_since + idleTimeout(machine))
                 : lease;
    case MachinePhase::assigned:
      return lease;
    case MachinePhase::releasing:
      return next_query;
    case MachinePhase::gone:
      return std::nullopt;
  }
  return std::nullopt;
}

// Its deadline has come, or what was its deadline when the timer was set.
void Stepper::machineTimer(MachineSlot& slot) {
  Machine& machine = slot.machine;
  if (const auto due = machineDeadline(machine, slot.next_query); !due || *due > now_) return;
  switch (machine.phase) {
    case MachinePhase::requested:
    case MachinePhase::booting:
      return bootFailed(slot);
    case MachinePhase::idle:
      if (machine.holder.empty() && now_ >= machine.phase_since + idleTimeout(machine) && !isLeast(machine)) {
        return release(slot, "nobody needs it");
      }
      [[fallthrough]];
    case MachinePhase::assigned:
      if (!machine.unreachable) {
        machine.unreachable = true;
        record("unreachable",
               strCat({machine.id.toString(),
                       " has not been heard from; it is left alone while the provider says it lives"}),
               machine);
      }
      out_.actions.push_back(QueryMachine{machine.host ? machine.host : machine.id});
      slot.next_query = now_ + settings_.query_every;
      touch(slot);
      return;
    case MachinePhase::releasing:
      terminate(slot);
      slot.next_query = now_ + settings_.query_every;
      if (machine.host) leaveSilentHost(slot);
      return;
    case MachinePhase::gone:
      return;
  }
}

}  // namespace buoy::engine
