#include <algorithm>

#include "engine/state_impl.h"

namespace buoy::engine {

State::State() : impl_(std::make_unique<Impl>()) {}
State::~State() = default;
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;

const Job* State::job(JobId id) const {
  const JobSlot* const slot = impl_->findJob(id);
  return slot ? &slot->job : nullptr;
}

const Machine* State::machine(MachineId id) const {
  const MachineSlot* const slot = impl_->findMachine(id);
  return slot ? &slot->machine : nullptr;
}

const Pool* State::pool(const std::string& name) const {
  const auto found = impl_->pools.find(name);
  return found == impl_->pools.end() || !found->second.known ? nullptr : &found->second.pool;
}

const Queue* State::queue(const std::string& name) const {
  const auto found = impl_->queues.find(name);
  return found == impl_->queues.end() || !found->second.known ? nullptr : &found->second.queue;
}

std::size_t State::jobCount() const {
  return impl_->jobs.size();
}
std::size_t State::machineCount() const {
  return impl_->machines.size();
}

void State::forEachJob(const std::function<void(const Job&)>& visit) const {
  impl_->jobs.forEach([&](std::uint64_t, const JobSlot& slot) { visit(slot.job); });
}

void State::forEachMachine(const std::function<void(const Machine&)>& visit) const {
  impl_->machines.forEach([&](std::uint64_t, const MachineSlot& slot) { visit(slot.machine); });
}

void State::restore(Pool pool) {
  PoolSlot& slot = impl_->poolSlot(pool.name);
  slot.pool = std::move(pool);
  slot.known = true;
  impl_->stale = true;
}

void State::restore(Queue queue) {
  QueueSlot& slot = impl_->queueSlot(queue.name);
  slot.queue = std::move(queue);
  slot.known = true;
  impl_->stale = true;
}

void State::restore(Job job) {
  impl_->next_job =
      std::max(impl_->next_job, job.id.value + 1 + static_cast<std::uint64_t>(job.request.array));
  JobSlot& slot = impl_->jobs.make(job.id.value);
  slot.job = std::move(job);
  if (Steering* const steering = slot.job.steering.get()) {
    steering->plan = nullptr;
    steering->planning = false;
  }
  impl_->stale = true;
}

void State::restore(Machine machine) {
  impl_->next_machine = std::max(impl_->next_machine, machine.id.value + 1);
  // Directives are asked for before the first step: a host's names its parts.
  if (machine.host) impl_->machines.make(machine.host.value).parts.push_back(machine.id);
  MachineSlot& slot = impl_->machines.make(machine.id.value);
  slot.machine = std::move(machine);
  impl_->stale = true;
}

void State::setNextIds(std::uint64_t next_job, std::uint64_t next_machine) {
  impl_->next_job = std::max(impl_->next_job, next_job);
  impl_->next_machine = std::max(impl_->next_machine, next_machine);
}

std::optional<Time> State::nextDeadline() const {
  const Timer* const timer = impl_->timers.earliest();
  return timer ? std::optional(timer->at) : std::nullopt;
}

void forget(State& state, const Changes& changes) {
  State::Impl& impl = state.impl();
  for (const JobId id : changes.jobs) {
    JobSlot* const slot = impl.findJob(id);
    if (!slot || !isTerminal(slot->job.phase)) continue;
    impl.timers.remove(slot->timer);
    impl.jobs.erase(id.value);
  }
  for (const MachineId id : changes.machines) {
    MachineSlot* const slot = impl.findMachine(id);
    if (!slot || slot->machine.phase != MachinePhase::gone) continue;
    impl.timers.remove(slot->timer);
    impl.machines.erase(id.value);
  }
}

void Outcome::clear() {
  actions.clear();
  changes.jobs.clear();
  changes.machines.clear();
  changes.pools.clear();
  changes.queues.clear();
  changes.records.clear();
  changes.spans.clear();
  changes.market.clear();
  reply = Reply{};
}

// ---- look-up

PoolSlot& State::Impl::poolSlot(const std::string& name) {
  const auto [found, made] = pools.try_emplace(name);
  if (made) {
    found->second.pool.name = name;
    found->second.timer.kind = TimerKind::pool;
    found->second.timer.id = pools_by_number.size();
    pools_by_number.push_back(&found->second);
  }
  return found->second;
}

QueueSlot& State::Impl::queueSlot(const std::string& name) {
  const auto [found, made] = queues.try_emplace(name);
  if (made) found->second.queue.name = name;
  return found->second;
}

PoolSlot* anchorOf(State::Impl& state, const Attempt& attempt) {
  for (const Member& member : attempt.members) {
    if (const MachineSlot* const slot = state.findMachine(member.machine)) return slot->pool;
  }
  return nullptr;
}

// ---- indices from nothing

namespace {

void resetPools(State::Impl& state) {
  for (PoolSlot* const pool : state.pools_by_number) {
    pool->timer.position = -1;
    pool->machines.clear();
    pool->idle.clear();
    pool->roomy.clear();
    pool->requested_spot = pool->requested_on_demand = 0;
    pool->blocked.clear();
    pool->vacant.clear();
    pool->woken = false;
    pool->cursor.reset();
    if (!pool->known) continue;
    for (const Time at : {pool->pool.retry_at, pool->pool.spot_retry_at}) {
      const bool earlier = pool->timer.position < 0 || at < pool->timer.at;
      if (at != Time{} && earlier) state.timers.set(pool->timer, at);
    }
  }
}

void indexMachine(State::Impl& state, MachineSlot& slot) {
  const Machine& machine = slot.machine;
  slot.pool = &state.poolSlot(machine.pool);
  slot.timer = Timer{.id = machine.id.value, .kind = TimerKind::machine};
  if (machine.phase == MachinePhase::gone) return;
  if (machine.host) {
    if (MachineSlot* const host = state.findMachine(machine.host)) {
      host->parts.push_back(machine.id);
      host->used.milli_cpus += machine.part.milli_cpus;
      host->used.gpus += machine.part.gpus;
      host->used.memory.value += machine.part.memory.value;
    }
  } else {
    slot.pool->machines.insert(machine.id);
    if (slot.pool->pool.pack) slot.pool->roomy.insert(machine.id);
    if (machine.phase == MachinePhase::requested)
      ++(machine.market == Market::spot ? slot.pool->requested_spot : slot.pool->requested_on_demand);
  }
  if (machine.phase == MachinePhase::idle && machine.holder.empty()) slot.pool->idle.insert(machine.id);
  state.touched_machines.push_back(machine.id);
  slot.touched = true;
}

// Waits for a whole new attempt: it has none, or the one it has was interrupted and nothing survives it.
bool needsPlacement(const Job& job) {
  if (isTerminal(job.phase) || job.stop != StopReason::none || job.next || job.paused) return false;
  if (isSteered(job)) return false;                                            // its policy is asked first
  return !job.current || (job.current->directed && job.current->interrupted);  // if it may begin at all
}

void indexJob(State::Impl& state, JobSlot& slot) {
  const Job& job = slot.job;
  slot.timer = Timer{.id = job.id.value, .kind = TimerKind::job};
  slot.bucket = nullptr;
  slot.vacant_in = nullptr;
  slot.queue = &state.queueSlot(job.request.queue);
  slot.stuck_since = Time{};
  slot.asked = false;
  slot.ask_at = Time{};
  if (isTerminal(job.phase)) return;
  if (isSteered(job)) {
    state.steered.insert(job.id);
    state.ask(slot);
  }
  state.indexDependencies(job);
  if (needsPlacement(job) && state.mayBegin(job)) state.enqueue(slot);
  const Attempt* const attempt = forming(job);
  if (attempt && attempt->vacant_since != Time{}) {
    slot.vacant_in = anchorOf(state, *attempt);
    if (slot.vacant_in) slot.vacant_in->vacant.insert(state.rankOf(job));
  }
  state.touched_jobs.push_back(job.id);
  slot.touched = true;
}

}  // namespace

void State::Impl::rebuild() {
  stale = false;
  timers.clear();
  open.clear();
  woken.clear();
  touched_jobs.clear();
  touched_machines.clear();
  jobs.forEach([](std::uint64_t, JobSlot& slot) { slot.bucket = nullptr; });
  steered.clear();
  asked.clear();
  ended.clear();
  dependents.clear();
  buckets.clear();
  rewoken.clear();
  for (auto& [name, queue] : queues) {
    queue.shares.clear();
    queue.shares_changed = false;
    queue.ranked_at = Time{};
    queue.active = 0;
  }
  resetPools(*this);
  machines.forEach([](std::uint64_t, MachineSlot& slot) {
    slot.parts.clear();
    slot.used = {.milli_cpus = 0};
  });
  machines.forEach([&](std::uint64_t, MachineSlot& slot) { indexMachine(*this, slot); });
  jobs.forEach([&](std::uint64_t, JobSlot& slot) { indexJob(*this, slot); });
  countShares();
  for (PoolSlot* const pool : pools_by_number) wake(*pool);
}

}  // namespace buoy::engine
