#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Pools and queues that people take away. Their slots stay, because what still runs names them; to everybody
// else they are unknown from then on.
namespace buoy::engine {

void Stepper::on(const RemovePool& event) {
  const auto found = s_.pools.find(event.pool);
  if (found == s_.pools.end() || !found->second.known)
    return refuse(ErrorCode::not_found, strCat({"no pool '", event.pool, "'"}));
  PoolSlot& pool = found->second;
  for (const auto& [name, queue] : s_.queues) {
    const auto& pools = queue.queue.pools;
    if (queue.known && std::find(pools.begin(), pools.end(), event.pool) != pools.end())
      return refuse(ErrorCode::failed_precondition,
                    strCat({"queue '", name, "' uses pool '", event.pool, "'"}));
  }
  std::vector<MachineSlot*> unused;
  for (const MachineId id : pool.machines) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.phase == MachinePhase::releasing) continue;
    const bool shared = std::any_of(slot.parts.begin(), slot.parts.end(), [&](MachineId part) {
      return static_cast<bool>(s_.findMachine(part)->machine.job);
    });
    if (shared || slot.machine.job || !slot.machine.holder.empty())
      return refuse(ErrorCode::failed_precondition,
                    strCat({"pool '", event.pool, "' is in use: ", id.toString(), " works"}));
    unused.push_back(&slot);
  }
  for (MachineSlot* const slot : unused) release(*slot, "its pool is taken away");
  pool.known = false;
  touch(pool);
}

void Stepper::on(const RemoveQueue& event) {
  const auto found = s_.queues.find(event.queue);
  if (found == s_.queues.end() || !found->second.known)
    return refuse(ErrorCode::not_found, strCat({"no queue '", event.queue, "'"}));
  std::vector<JobId> left;
  s_.jobs.forEach([&](std::uint64_t, const JobSlot& slot) {
    const Job& job = slot.job;
    if (job.request.queue == event.queue && !isTerminal(job.phase) && job.stop == StopReason::none)
      left.push_back(job.id);
  });
  for (const JobId id : left) {
    JobSlot& slot = *s_.findJob(id);
    if (isTerminal(slot.job.phase) || slot.job.stop != StopReason::none) continue;  // with its array
    stopJob(slot, StopReason::cancelled, strCat({"its queue '", event.queue, "' was deleted"}));
  }
  found->second.known = false;
  touch(found->second);
}

}  // namespace buoy::engine
