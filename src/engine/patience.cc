#include "engine/stepper.h"

// A gang that finds no room is passed by what is smaller, but not for ever: when it has waited for kPatience,
// what is ranked behind it gets nothing of the pools that could hold it, until it has its machines. Only
// gangs, and jobs in pools that pack, where smaller ones take what they need, need this: a single machine is
// found as soon as one is free, in the order of the ranks.
namespace buoy::engine {
namespace {

constexpr Duration kPatience = std::chrono::minutes{10};

// Of its machines: those that no person holds open come free in time.
std::int32_t roomIn(const State::Impl& state, const PoolSlot& pool) {
  std::int32_t room = pool.pool.max_machines;
  for (const MachineId id : pool.machines) room -= state.findMachine(id)->machine.holder.empty() ? 0 : 1;
  return room;
}

}  // namespace

const Job* heldFor(const State::Impl& state, const PoolSlot& pool, const Rank& rank, Time now,
                   const PlacementPolicy& policy) {
  if (pool.blocked.empty() || pool.pool.max_machines <= 0) return nullptr;
  const Rank& first = *pool.blocked.begin();
  if (!(first < rank)) return nullptr;
  const Job& job = state.findJob(first.job)->job;
  const JobRequest& request = job.request;
  const Time since = job.waiting_since == Time{} ? job.phase_since : job.waiting_since;
  const bool passed = request.machines > 1 || pool.pool.pack;
  if (!passed || now - since < kPatience || roomIn(state, pool) < request.machines) return nullptr;
  // Nothing but room is in its way.
  const PoolView empty{.pool = &pool.pool, .free = pool.pool.max_machines};
  const PlacementRequest wanted{.job = &job,
                                .resources = request.resources,
                                .spot = spotOf(job),
                                .image = request.image,
                                .count = request.machines};
  return policy.place(wanted, {&empty, 1}, now).pool ? &job : nullptr;
}

const Job* keepFree(const State::Impl& state, const std::vector<PoolSlot*>& pools, const Rank& rank, Time now,
                    const PlacementPolicy& policy, std::vector<PoolView>& views) {
  const Job* found = nullptr;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const Job* const job = heldFor(state, *pools[i], rank, now, policy);
    if (!job) continue;
    found = job;
    views[i].free = views[i].idle_spot = views[i].idle_on_demand = 0;
  }
  return found;
}

}  // namespace buoy::engine
