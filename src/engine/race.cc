#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Races: a job on one machine may have one asked for in several pools at once. The first that is up runs it;
// the others are given back at that moment, so that each costs what its pool takes for the time until then
// at most. Rivals belong to nobody but the race: they never run anything else.
namespace buoy::engine {
namespace {

bool isComing(const Machine& machine) {
  return machine.phase == MachinePhase::requested || machine.phase == MachinePhase::booting;
}

}  // namespace

void Stepper::beginRace(JobSlot& slot, Attempt& attempt) {
  const Job& job = slot.job;
  if (job.request.race < 2 || attempt.members.size() != 1 || isSteered(job) || job.request.budget != Money{})
    return;
  const MachineSlot& first = *s_.findMachine(attempt.members[0].machine);
  if (!isComing(first.machine)) return;  // it was idle: nothing is faster
  const bool spot = first.machine.market == Market::spot;
  std::string names;
  for (PoolSlot* const pool : s_.poolsOf(job)) {
    if (attempt.rivals.size() + 1 >= static_cast<std::size_t>(job.request.race)) break;
    if (pool == first.pool || heldFor(s_, *pool, s_.rankOf(job), now_, policy_)) continue;
    PoolView view = viewOf(s_, *pool, job.request.resources);
    view.idle_spot = view.idle_on_demand = 0;  // whoever waits may have those
    const Placement placement = policy_.place({.job = &job,
                                               .resources = job.request.resources,
                                               .spot = spot ? SpotPreference::only : SpotPreference::never,
                                               .image = job.request.image},
                                              {&view, 1}, now_);
    if (!placement.pool) continue;
    Machine& rival = launch(*pool, *placement.type, placement.market).machine;
    rival.rival_of = job.id;
    attempt.rivals.push_back(rival.id);
    names += strCat({names.empty() ? "" : ", ", rival.id.toString(), " in pool ", rival.pool});
  }
  if (names.empty()) return;
  touch(slot);
  record("raced", strCat({"also asked for ", names, ": the first that is up runs the job"}), job);
}

bool Stepper::winRace(MachineSlot& slot, JobId raced) {
  JobSlot* const job = s_.findJob(raced);
  Attempt* const attempt = job ? forming(job->job) : nullptr;
  if (!attempt || std::erase(attempt->rivals, slot.machine.id) == 0) return false;
  Member& member = attempt->members[0];
  MachineSlot* const other = s_.findMachine(member.machine);
  if (other) release(*other, slot.machine.id.toString() + " was up before it");
  member.machine = slot.machine.id;
  member.phase_since = now_;
  assign(slot, job->job, attempt->epoch, 0);
  endRace(*job, *attempt, slot.machine.id.toString() + " was up before it");
  return true;
}

bool Stepper::promoteRival(JobSlot& slot, Attempt& attempt, Member& member) {
  while (!attempt.rivals.empty()) {
    MachineSlot* const rival = s_.findMachine(attempt.rivals.front());
    attempt.rivals.erase(attempt.rivals.begin());
    if (!rival || rival->machine.rival_of != slot.job.id || !isComing(rival->machine)) continue;
    member.machine = rival->machine.id;
    member.phase_since = now_;
    assign(*rival, slot.job, attempt.epoch, 0);
    touch(slot);
    return true;
  }
  return false;
}

void Stepper::endRace(JobSlot& slot, Attempt& attempt, const std::string& why) {
  if (attempt.rivals.empty()) return;
  for (const MachineId id : std::exchange(attempt.rivals, {})) {
    MachineSlot* const rival = s_.findMachine(id);
    if (rival && rival->machine.rival_of == slot.job.id && isComing(rival->machine)) release(*rival, why);
  }
  touch(slot);
}

}  // namespace buoy::engine
