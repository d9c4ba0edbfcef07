#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "engine/stepper.h"

// Which waiting job gets machines, and which. Buckets are examined in the order of their heads; one that
// finds nothing is put aside until one of its pools is woken, so that a step costs what changed, not what
// waits. A gang that finds no room is passed by smaller jobs behind it, of lower queues too, for a while
// (patience.cc).
namespace buoy::engine {
namespace {

constexpr std::int64_t kManyMachines = 1'000'000;

std::int32_t freeIn(const PoolSlot& pool) {
  if (pool.pool.max_machines <= 0) return std::numeric_limits<std::int32_t>::max();
  return std::max(0, pool.pool.max_machines - static_cast<std::int32_t>(pool.machines.size()));
}

// The same under max_milli_cpus, for the smallest type that covers a job: one of larger ones is the last, as
// on AWS.
std::int32_t freeByCpus(const State::Impl& state, const PoolSlot& slot, const Resources& resources) {
  const Pool& pool = slot.pool;
  std::int32_t each = 0;
  for (const MachineType& type : pool.types) {
    if (covers(type.resources, resources) && (each == 0 || type.resources.milli_cpus < each))
      each = type.resources.milli_cpus;
  }
  std::int64_t left = pool.max_milli_cpus;
  for (const MachineId id : slot.machines) {
    const MachineType* const type = typeOf(pool, state.findMachine(id)->machine.type);
    left -= type ? type->resources.milli_cpus : 0;
  }
  if (each <= 0 || left <= 0) return 0;
  return static_cast<std::int32_t>(std::min<std::int64_t>((left + each - 1) / each, kManyMachines));
}

// Whether anything at all can be had of the pool: if not, none of its buckets needs to be asked.
bool mayYield(const PoolSlot& pool, Time now) {
  if (!pool.idle.empty() || !pool.roomy.empty()) return !pool.pool.paused;
  return !pool.pool.paused && now >= pool.pool.retry_at && freeIn(pool) > 0;
}

bool isFree(const Machine& machine) {
  return !machine.notice_deadline && !machine.unreachable;
}

}  // namespace

const MachineType* typeOf(const Pool& pool, const std::string& name) {
  for (const MachineType& type : pool.types) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::int32_t partsIn(const Pool& pool, const Resources& need, std::int32_t machines) {
  std::int64_t least = kManyMachines;
  for (const MachineType& type : pool.types) {
    if (covers(type.resources, need))
      least = std::min(least, fitting(type.resources, {.milli_cpus = 0}, need));
  }
  return static_cast<std::int32_t>(std::min(machines * least, kManyMachines));
}

bool covers(const Resources& have, const Resources& need) {
  return have.milli_cpus >= need.milli_cpus && have.gpus >= need.gpus && have.memory >= need.memory;
}

PoolView viewOf(const State::Impl& state, const PoolSlot& pool, const Resources& resources) {
  PoolView view;
  view.pool = &pool.pool;
  view.free = freeIn(pool);
  if (pool.pool.max_milli_cpus > 0) view.free = std::min(view.free, freeByCpus(state, pool, resources));
  view.trial_spot = pool.pool.consecutive_failures + pool.pool.spot_failures > 0 && pool.requested_spot > 0;
  view.trial_on_demand =
      pool.pool.consecutive_failures > 0 && pool.requested_spot + pool.requested_on_demand > 0;
  for (const MachineId id : pool.idle) {
    const Machine& machine = state.findMachine(id)->machine;
    const MachineType* const type = machine.host ? nullptr : typeOf(pool.pool, machine.type);
    if (!type || !covers(type->resources, resources) || !isFree(machine)) continue;
    ++(machine.market == Market::spot ? view.idle_spot : view.idle_on_demand);
  }
  return view;
}

PoolView viewFor(const State::Impl& state, const PoolSlot& pool, const JobRequest& request) {
  PoolView view = viewOf(state, pool, request.resources);
  if (!packs(pool.pool, request)) return view;
  view.free = partsIn(pool.pool, request.resources, view.free);
  view.idle_spot = view.idle_on_demand = 0;
  const auto add = [&](const Machine& machine, std::int64_t count) {
    std::int32_t& sum = machine.market == Market::spot ? view.idle_spot : view.idle_on_demand;
    sum = static_cast<std::int32_t>(std::min(sum + count, kManyMachines));
  };
  for (const MachineId id : pool.idle) {
    const Machine& machine = state.findMachine(id)->machine;
    if (machine.host && isFree(machine) && machine.part == request.resources) add(machine, 1);
  }
  for (const MachineId id : pool.roomy) {
    const MachineSlot& slot = *state.findMachine(id);
    const MachineType* const type = takesParts(slot) ? typeOf(pool.pool, slot.machine.type) : nullptr;
    if (type) add(slot.machine, fitting(type->resources, slot.used, request.resources));
  }
  return view;
}

std::string whyWaiting(const Placement& placement) {
  if (placement.candidates.empty()) return "waiting for a machine: there is no pool for it";
  std::string result = "waiting for a machine: ";
  const Record::Candidate* last = nullptr;
  for (const Record::Candidate& candidate : placement.candidates) {
    const bool same_pool = last && last->pool == candidate.pool;
    if (same_pool && last->rejected == candidate.rejected) continue;
    result +=
        strCat({same_pool ? ", " : strCat({last ? "; " : "", candidate.pool, ": "}), candidate.rejected});
    last = &candidate;
  }
  return result;
}

MachineSlot* Stepper::takeIdle(PoolSlot& pool, const Resources& resources, Market market) {
  for (const MachineId id : pool.idle) {
    MachineSlot& slot = *s_.findMachine(id);
    const MachineType* const type = slot.machine.host ? nullptr : typeOf(pool.pool, slot.machine.type);
    if (!type || !covers(type->resources, resources) || slot.machine.market != market) continue;
    if (isFree(slot.machine)) return &slot;
  }
  return nullptr;
}

MachineSlot& Stepper::take(PoolSlot& pool, const Job& job, const Placement& placement) {
  const Resources& need = job.request.resources;
  if (!packs(pool.pool, job.request)) {
    MachineSlot* const idle = takeIdle(pool, need, placement.market);
    return idle ? *idle : launch(pool, *placement.type, placement.market);
  }
  for (const MachineId id : pool.idle) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.host && slot.machine.part == need && slot.machine.market == placement.market &&
        isFree(slot.machine))
      return slot;
  }
  MachineSlot* const found = hostFor(pool, need, placement.market);
  MachineSlot& host = found ? *found : launch(pool, *placement.type, placement.market);
  // Nobody could share what has no CPU left: it needs no agent of its own beside the job's.
  const bool whole = host.parts.empty() && fillsMachine(*typeOf(pool.pool, host.machine.type), need);
  return whole ? host : openPart(host, need);
}

// Machines for every vacant rank: idle ones first, the rest launched.
void Stepper::fill(JobSlot& slot, Attempt& attempt, Placement placement,
                   std::shared_ptr<Record::Decision> decision) {
  const Job& job = slot.job;
  PoolSlot& pool = s_.poolSlot(placement.pool->name);
  std::string names;
  for (std::size_t rank = 0; rank < attempt.members.size(); ++rank) {
    Member& member = attempt.members[rank];
    if (member.machine) continue;
    MachineSlot& machine = take(pool, job, placement);
    member.machine = machine.machine.id;
    member.phase_since = now_;
    assign(machine, job, attempt.epoch, static_cast<std::int32_t>(rank));
    names += (names.empty() ? "" : ", ") + nameOf(s_, machine.machine);
    decision->machines.push_back(member.machine);
  }
  attempt.vacant_since = Time{};
  touch(slot);
  // Where there was room already it may be of another type than would have been launched.
  const std::string type = attempt.members.size() == 1
                               ? s_.findMachine(attempt.members[0].machine)->machine.type
                               : placement.type->name;
  Record& made = record("placed",
                        strCat({"placed on ", names, " in pool ", pool.pool.name, ": ", type, ", ",
                                placement.market == Market::spot ? "spot" : "on-demand"}),
                        job);
  made.attempt = attempt.number;
  made.candidates = std::move(placement.candidates);
  made.decision = std::move(decision);
  advance(slot);
}

void Stepper::startAttempt(JobSlot& slot, const Placement& placement,
                           std::shared_ptr<Record::Decision> decision) {
  Job& job = slot.job;
  s_.dequeue(slot);
  auto attempt = std::make_unique<Attempt>();
  attempt->number = ++job.attempts;
  attempt->epoch = ++job.epoch;
  attempt->created = now_;
  attempt->members.resize(static_cast<std::size_t>(job.request.machines));
  Attempt& made = *attempt;
  if (job.current) {
    job.next = std::move(attempt);
  } else {
    job.current = std::move(attempt);
    Ledger& ledger = ledgerOf(job);
    if (job.waiting_since != Time{}) ledger.queued += now_ - job.waiting_since;
    job.waiting_since = Time{};
    enterPhase(slot, made.number == 1 ? JobPhase::starting : JobPhase::recovering, now_,
               "waiting for its machines");
  }
  fill(slot, made, placement, std::move(decision));
  beginRace(slot, made);
}

// A full pool must not keep out a job for the sake of idle machines that the job cannot use.
void Stepper::makeRoom(PoolSlot& pool, const Job& job) {
  const Resources& need = job.request.resources;
  const std::vector<MachineType>& types = pool.pool.types;
  const bool ever = std::any_of(types.begin(), types.end(),
                                [&](const MachineType& type) { return covers(type.resources, need); });
  const bool full = freeIn(pool) == 0 || (pool.pool.max_milli_cpus > 0 && freeByCpus(s_, pool, need) == 0);
  if (pool.idle.empty() || !full || !ever || pool.pool.paused) return;
  std::vector<MachineSlot*> useless;
  for (const MachineId id : pool.idle) {
    MachineSlot& slot = *s_.findMachine(id);
    if (slot.machine.host) continue;  // closed at the end of the step, if nobody takes it
    const MachineType* const type = typeOf(pool.pool, slot.machine.type);
    const auto excluded = slot.machine.market == Market::spot ? SpotPreference::never : SpotPreference::only;
    const bool usable = type && covers(type->resources, need) && spotOf(job) != excluded;
    if (!usable) useless.push_back(&slot);
  }
  for (MachineSlot* const slot : useless) release(*slot, "a waiting job needs its place in the pool");
}

bool Stepper::examine(Bucket& bucket) {
  JobSlot& slot = *s_.findJob(bucket.waiting.begin()->job);
  const Job& job = slot.job;
  const std::vector<PoolSlot*> pools = s_.poolsOf(job);
  s_.views.clear();
  for (const PoolSlot* const pool : pools) s_.views.push_back(viewFor(s_, *pool, job.request));
  const Job* const patient = keepFree(s_, pools, bucket.rank, now_, policy_, s_.views);
  const bool reserved = keepReserve(bucket, s_.views);
  const PlacementRequest request{.job = &job,
                                 .resources = job.request.resources,
                                 .spot = spotOf(job),
                                 .image = job.request.image,
                                 .count = job.request.machines};
  Placement placement = policy_.place(request, s_.views, now_);
  const bool moving = isSteered(job) && job.steering->moving;
  if (placement.pool && !affords(job, placement)) {
    if (moving) {
      s_.dequeue(slot);  // what works goes on as long as it is paid for
    } else {
      pause(slot);
    }
    return true;
  }
  if (placement.pool) {
    notePassed(bucket);
    startAttempt(job.array ? takeTask(slot) : slot, placement, decisionOn(request, s_.views));
    return true;
  }
  std::string reason = whyWaiting(placement);
  if (patient) reason += strCat({"; kept free for ", patient->id.toString(), ", which has waited long"});
  if (reserved) reason += "; the rest is kept free for shares that have nothing";
  auto decision = moving || reason == job.reason ? nullptr : decisionOn(request, s_.views);
  s_.block(bucket, pools);
  noteStuck(slot, pools);
  for (PoolSlot* const pool : pools) makeRoom(*pool, job);
  if (decision) {
    Record& made = record("waiting", reason, job);
    made.candidates = std::move(placement.candidates);
    made.decision = std::move(decision);
    slot.job.reason = std::move(reason);
    touch(slot);
  }
  return false;
}

void Stepper::fillWoken() {
  for (std::size_t i = 0; i < s_.woken.size(); ++i) {
    PoolSlot& pool = *s_.woken[i];
    for (auto it = pool.vacant.begin(); it != pool.vacant.end() && mayYield(pool, now_);) {
      JobSlot& slot = *s_.findJob(it->job);
      ++it;  // filling takes the job out of the set
      fillVacancies(slot);
    }
  }
}

// The first that may now find something: open, or blocked by a pool that was woken.
Bucket* Stepper::nextBucket() {
  const Rank* best = s_.open.empty() ? nullptr : &*s_.open.begin();
  for (PoolSlot* const pool : s_.woken) {
    if (!mayYield(*pool, now_)) continue;
    auto it = pool->cursor ? pool->blocked.upper_bound(*pool->cursor) : pool->blocked.begin();
    while (it != pool->blocked.end() && it->bucket->failed_pass == s_.pass) {
      pool->cursor = *it;
      ++it;
    }
    if (it != pool->blocked.end() && (!best || *it < *best)) best = &*it;
  }
  return best ? best->bucket : nullptr;
}

void Stepper::schedule() {
  if (s_.open.empty() && s_.woken.empty()) return;
  ++s_.pass;
  for (QueueSlot* const queue : s_.fair) rankShares(*queue);
  fillWoken();
  while (Bucket* const bucket = nextBucket()) {
    // The bucket may be gone after its last job was placed; then it needs no mark.
    if (!examine(*bucket)) bucket->failed_pass = s_.pass;
    for (QueueSlot* const queue : s_.fair) rankShares(*queue);
  }
  for (std::size_t i = 0; i < s_.woken.size(); ++i) keepLeast(*s_.woken[i]);
  for (PoolSlot* const pool : s_.woken) pool->woken = false;
  s_.woken.clear();
  for (PoolSlot* const pool : s_.rewoken) s_.wake(*pool);
  s_.rewoken.clear();
}

Placement rederive(const Record::Decision& decision, Time at, const PlacementPolicy& policy) {
  std::vector<PoolView> views;
  for (const Record::Decision::Seen& seen : decision.pools) {
    views.push_back({seen.pool.get(), seen.free, seen.idle_spot, seen.idle_on_demand, seen.trial_spot,
                     seen.trial_on_demand});
  }
  return policy.place({.resources = decision.resources,
                       .spot = decision.spot,
                       .image = decision.image,
                       .count = decision.count},
                      views, at);
}

std::optional<Placement> explain(const State& state, JobId id, Time now, const PlacementPolicy& policy) {
  const Job* const job = state.job(id);
  if (!job || isTerminal(job->phase) || job->stop != StopReason::none) return std::nullopt;
  const State::Impl& impl = state.impl();
  const JobSlot& slot = *impl.findJob(id);
  std::vector<PoolSlot*> pools;
  std::int32_t count = job->request.machines;
  if (slot.vacant_in) {
    pools.push_back(slot.vacant_in);
    const auto& members = forming(*job)->members;
    count = static_cast<std::int32_t>(
        std::count_if(members.begin(), members.end(), [](const Member& member) { return !member.machine; }));
  } else if (slot.bucket) {
    pools = impl.poolsOf(*job);
  } else {
    return std::nullopt;
  }
  std::vector<PoolView> views;
  for (const PoolSlot* const pool : pools) views.push_back(viewFor(impl, *pool, job->request));
  if (slot.bucket) {
    Rank rank = slot.bucket->rank;
    rank.priority = job->request.priority;
    rank.job = id;
    (void)keepFree(impl, pools, rank, now, policy, views);
    (void)keepReserve(*slot.bucket, views);
  }
  return policy.place({.job = job,
                       .resources = job->request.resources,
                       .spot = spotOf(*job),
                       .image = job->request.image,
                       .count = count},
                      views, now);
}

}  // namespace buoy::engine
