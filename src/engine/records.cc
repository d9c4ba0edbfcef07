#include "engine/stepper.h"

namespace buoy::engine {
namespace {

// Lists `id` unless it is listed. The index is only a hint that the list itself confirms, so that it is right
// whatever outcome the step appends to.
template <class Id>
void list(std::vector<Id>& ids, const Id& id, std::uint32_t& index) {
  if (index < ids.size() && ids[index] == id) return;
  index = static_cast<std::uint32_t>(ids.size());
  ids.push_back(id);
}

std::uint32_t attemptNumber(const Job& job) {
  return job.current ? job.current->number : job.attempts;
}

}  // namespace

void Stepper::touch(JobSlot& slot) {
  list(out_.changes.jobs, slot.job.id, slot.dirty_index);
  account(slot);
  retime(slot);
}

void Stepper::retime(JobSlot& slot) {
  if (slot.touched) return;
  slot.touched = true;
  s_.touched_jobs.push_back(slot.job.id);
}

void Stepper::touch(MachineSlot& slot) {
  list(out_.changes.machines, slot.machine.id, slot.dirty_index);
  if (slot.touched) return;
  slot.touched = true;
  s_.touched_machines.push_back(slot.machine.id);
}

void Stepper::touch(PoolSlot& slot) {
  slot.snapshot.reset();
  list(out_.changes.pools, slot.pool.name, slot.dirty_index);
}
void Stepper::touch(QueueSlot& slot) {
  list(out_.changes.queues, slot.queue.name, slot.dirty_index);
}

void Stepper::redirect(MachineSlot& slot) {
  if (slot.redirected) return;
  slot.redirected = true;
  s_.redirected.push_back(slot.machine.id);
}

std::shared_ptr<Record::Decision> Stepper::decisionOn(const PlacementRequest& request,
                                                      std::span<const PoolView> views) {
  auto decision = std::make_shared<Record::Decision>();
  decision->resources = request.resources;
  decision->spot = request.spot;
  decision->image = request.image;
  decision->count = request.count;
  for (const PoolView& view : views) {
    PoolSlot& slot = s_.poolSlot(view.pool->name);
    if (!slot.snapshot) {
      Pool copy = slot.pool;
      copy.provider_config.clear();  // opaque here and to policies, and perhaps long
      slot.snapshot = std::make_shared<const Pool>(std::move(copy));
    }
    decision->pools.push_back({slot.snapshot, view.free, view.idle_spot, view.idle_on_demand, view.trial_spot,
                               view.trial_on_demand});
  }
  return decision;
}

Record& Stepper::record(std::string_view kind, std::string detail) {
  Record& made = out_.changes.records.emplace_back();
  made.at = now_;
  made.kind = kind;
  made.detail = std::move(detail);
  return made;
}

Record& Stepper::record(std::string_view kind, std::string detail, const Job& job, MachineId machine) {
  Record& made = record(kind, std::move(detail));
  made.job = job.id;
  made.attempt = attemptNumber(job);
  made.machine = machine;
  return made;
}

Record& Stepper::record(std::string_view kind, std::string detail, const Machine& machine) {
  Record& made = record(kind, std::move(detail));
  made.machine = machine.id;
  made.job = machine.job;
  if (const JobSlot* const slot = machine.job ? s_.findJob(machine.job) : nullptr)
    made.attempt = attemptNumber(slot->job);
  return made;
}

}  // namespace buoy::engine
