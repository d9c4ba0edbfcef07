#include "sim/persistence.h"

#include <algorithm>

namespace buoy::sim {

void MemoryStore::commit(const engine::State& state, const engine::Changes& changes) {
  for (const JobId id : changes.jobs) {
    const engine::Job& job = *state.job(id);
    next_job_ = std::max(next_job_, id.value + 1);
    if (engine::isTerminal(job.phase)) {
      jobs_.erase(id.value);
    } else {
      jobs_.insert_or_assign(id.value, engine::clone(job));
    }
  }
  for (const MachineId id : changes.machines) {
    const engine::Machine& machine = *state.machine(id);
    next_machine_ = std::max(next_machine_, id.value + 1);
    if (machine.phase == engine::MachinePhase::gone) {
      machines_.erase(id.value);
    } else {
      machines_.insert_or_assign(id.value, machine);
    }
  }
  for (const std::string& name : changes.pools) pools_.insert_or_assign(name, *state.pool(name));
  for (const std::string& name : changes.queues) queues_.insert_or_assign(name, *state.queue(name));
}

void MemoryStore::load(engine::State& state) const {
  for (const auto& [id, machine] : machines_) state.restore(machine);
  for (const auto& [id, job] : jobs_) state.restore(engine::clone(job));
  for (const auto& [name, queue] : queues_) state.restore(queue);
  for (const auto& [name, pool] : pools_) state.restore(pool);
  state.setNextIds(next_job_, next_machine_);
}

}  // namespace buoy::sim
