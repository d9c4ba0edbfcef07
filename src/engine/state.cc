#include <algorithm>

#include "engine/state_impl.h"

namespace buoy::engine {

State::State() : impl_(std::make_unique<Impl>()) {}
State::~State() = default;
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;

const Job* State::job(JobId id) const {
  const auto found = impl_->jobs.find(id.value);
  return found == impl_->jobs.end() ? nullptr : &found->second.job;
}

const Machine* State::machine(MachineId id) const {
  const auto found = impl_->machines.find(id.value);
  return found == impl_->machines.end() ? nullptr : &found->second.machine;
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
  for (const JobId id : impl_->sortedJobs()) visit(*job(id));
}

void State::forEachMachine(const std::function<void(const Machine&)>& visit) const {
  for (const MachineId id : impl_->sortedMachines()) visit(*machine(id));
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
  impl_->next_job = std::max(impl_->next_job, job.id.value + 1);
  JobSlot& slot = impl_->jobs[job.id.value];
  slot.job = std::move(job);
  impl_->stale = true;
}

void State::restore(Machine machine) {
  impl_->next_machine = std::max(impl_->next_machine, machine.id.value + 1);
  MachineSlot& slot = impl_->machines[machine.id.value];
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
    const auto found = impl.jobs.find(id.value);
    if (found == impl.jobs.end() || !isTerminal(found->second.job.phase)) continue;
    impl.timers.remove(found->second.timer);
    impl.jobs.erase(found);
  }
  for (const MachineId id : changes.machines) {
    const auto found = impl.machines.find(id.value);
    if (found == impl.machines.end() || found->second.machine.phase != MachinePhase::gone) continue;
    impl.timers.remove(found->second.timer);
    impl.machines.erase(found);
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
  reply = Reply{};
}

// ---- look-up

JobSlot* State::Impl::findJob(JobId id) {
  const auto found = jobs.find(id.value);
  return found == jobs.end() ? nullptr : &found->second;
}

MachineSlot* State::Impl::findMachine(MachineId id) {
  const auto found = machines.find(id.value);
  return found == machines.end() ? nullptr : &found->second;
}

const MachineSlot* State::Impl::findMachine(MachineId id) const {
  const auto found = machines.find(id.value);
  return found == machines.end() ? nullptr : &found->second;
}

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

std::vector<JobId> State::Impl::sortedJobs() const {
  std::vector<JobId> ids;
  ids.reserve(jobs.size());
  for (const auto& [id, slot] : jobs) ids.push_back(JobId{id});
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<MachineId> State::Impl::sortedMachines() const {
  std::vector<MachineId> ids;
  ids.reserve(machines.size());
  for (const auto& [id, slot] : machines) ids.push_back(MachineId{id});
  std::sort(ids.begin(), ids.end());
  return ids;
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
  slot.pool->machines.insert(machine.id);
  if (machine.phase == MachinePhase::requested) {
    ++(machine.market == Market::spot ? slot.pool->requested_spot : slot.pool->requested_on_demand);
  }
  if (machine.phase == MachinePhase::idle && machine.holder.empty()) slot.pool->idle.insert(machine.id);
  state.touched_machines.push_back(machine.id);
  slot.touched = true;
}

// Waits for a whole new attempt: it has none, or the one it has was interrupted and nothing survives it.
bool needsPlacement(const Job& job) {
  if (isTerminal(job.phase) || job.stop != StopReason::none || job.next) return false;
  return !job.current || (job.current->directed && job.current->interrupted);
}

void indexJob(State::Impl& state, JobSlot& slot) {
  const Job& job = slot.job;
  slot.timer = Timer{.id = job.id.value, .kind = TimerKind::job};
  slot.bucket = nullptr;
  slot.vacant_in = nullptr;
  if (isTerminal(job.phase)) return;
  if (needsPlacement(job)) state.enqueue(slot);
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
  for (auto& [id, slot] : jobs) slot.bucket = nullptr;
  buckets.clear();
  resetPools(*this);
  for (const MachineId id : sortedMachines()) indexMachine(*this, *findMachine(id));
  for (const JobId id : sortedJobs()) indexJob(*this, *findJob(id));
  for (PoolSlot* const pool : pools_by_number) wake(*pool);
}

}  // namespace buoy::engine
