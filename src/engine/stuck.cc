#include <algorithm>

#include "engine/stepper.h"

// Queues that do not let a job wait for ever for what will not come: the one at the head that has been stuck
// for as long as a StuckLimit says is cancelled, so that others have their turn. A restart begins the time
// anew.
namespace buoy::engine {
namespace {

// nullopt: it waits for its turn, or for somebody to end a pause.
std::optional<StuckFor> whyStuck(const Job& job, const std::vector<PoolSlot*>& pools) {
  bool has_type = false, has_room = false, fails = false;
  for (const PoolSlot* const slot : pools) {
    const Pool& pool = slot->pool;
    if (pool.paused) return std::nullopt;
    const auto large_enough = [&](const MachineType& type) {
      return covers(type.resources, job.request.resources);
    };
    if (!std::any_of(pool.types.begin(), pool.types.end(), large_enough)) continue;
    has_type = true;
    if (pool.max_machines > 0 && pool.max_machines < job.request.machines) continue;
    has_room = true;
    const bool full =
        pool.max_machines > 0 && static_cast<std::int32_t>(slot->machines.size()) >= pool.max_machines;
    if (full) continue;
    const bool spot_alone = !pool.on_demand || spotOf(job) == SpotPreference::only;
    fails = fails || pool.consecutive_failures > 0 || (spot_alone && pool.spot_failures > 0);
  }
  if (pools.empty()) return std::nullopt;
  if (!has_type) return StuckFor::no_type;
  if (!has_room) return StuckFor::too_large;
  return fails ? std::optional(StuckFor::no_capacity) : std::nullopt;
}

}  // namespace

void Stepper::noteStuck(JobSlot& slot, const std::vector<PoolSlot*>& pools) {
  if (!slot.queue || slot.queue->queue.stuck_limits.empty()) return;
  const auto why = whyStuck(slot.job, pools);
  if (!why) {
    slot.stuck_since = Time{};
    return;
  }
  noteStuck(slot, *why);
}

void Stepper::noteStuck(JobSlot& slot, StuckFor why) {
  if (!slot.queue || slot.queue->queue.stuck_limits.empty()) return;
  if (slot.stuck_since != Time{} && slot.stuck == why) return;
  slot.stuck = why;
  slot.stuck_since = now_;
  retime(slot);
}

const StuckLimit* Stepper::stuckLimit(const JobSlot& slot) const {
  if (slot.stuck_since == Time{} || !slot.queue || isTerminal(slot.job.phase)) return nullptr;
  if (slot.job.current && slot.job.current->directed) return nullptr;
  for (const StuckLimit& limit : slot.queue->queue.stuck_limits) {
    if (limit.cause == slot.stuck) return &limit;
  }
  return nullptr;
}

void Stepper::cancelStuck(JobSlot& slot, const StuckLimit& limit) {
  const std::string reason = limit.reason;
  slot.stuck_since = Time{};
  if (!slot.job.array || slot.job.array->begun == 0) return stopJob(slot, StopReason::cancelled, reason);
  // What of an array runs goes on.
  const std::size_t size = slot.job.array->tasks.size();
  for (std::size_t i = 0; i < size && !isTerminal(slot.job.phase); ++i)
    failTask(slot, static_cast<std::uint32_t>(i), JobPhase::cancelled, reason);
}

}  // namespace buoy::engine
