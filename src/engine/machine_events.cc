#include "base/strings.h"
#include "engine/stepper.h"

// What providers and people say about machines and pools.
namespace buoy::engine {
namespace {

constexpr Duration kSameNotice = std::chrono::seconds{1};

}  // namespace

// ---- from providers

void Stepper::on(const LaunchSucceeded& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) {
    // Given up while the launch was in flight: nothing may be left behind.
    out_.actions.push_back(TerminateMachine{event.machine});
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  Machine& machine = slot->machine;
  if (machine.provider_ref.empty() && !event.provider_ref.empty()) {
    machine.provider_ref = event.provider_ref;
    touch(*slot);
  }
  if (machine.address.empty()) setAddress(*slot, event.address);
  if (!event.type.empty()) becomeType(*slot, event.type, event.price);
  if (machine.phase == MachinePhase::requested) {
    noteLaunchSuccess(*slot->pool, machine.market);
    startBilling(*slot, event.since);
    enterPhase(*slot, MachinePhase::booting);
    return;
  }
  if (event.since != Time{} || machine.phase == MachinePhase::releasing) startBilling(*slot, event.since);
  if (machine.phase == MachinePhase::releasing) {
    out_.actions.push_back(TerminateMachine{machine.id});  // an earlier one may have come before the launch
  }
}

void Stepper::setAddress(MachineSlot& slot, const std::string& address) {
  if (address.empty() || slot.machine.address == address) return;
  slot.machine.address = address;
  touch(slot);
  // Its peers' directives name it.
  JobSlot* job = nullptr;
  if (!memberOf(slot, &job)) return;
  for (const Member& member : job->job.current->members) {
    if (MachineSlot* const peer = s_.findMachine(member.machine)) redirect(*peer);
  }
}

void Stepper::on(const LaunchFailed& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot) return;
  const Machine& machine = slot->machine;
  if (machine.phase == MachinePhase::requested) {
    launchFailed(*slot, event.error, event.message);
  } else if (machine.phase == MachinePhase::releasing && machine.billed_from == Time{}) {
    enterPhase(*slot, MachinePhase::gone);
  }
}

// The machine's own time first, then that of its parts, then what is charged otherwise than by time.
void Stepper::settleEnd(MachineSlot& slot, const MachineGone& event, const std::string& detail, Time until) {
  const bool taken_back = event.reason == GoneReason::reclaimed && !event.charged;
  closeSpan(slot, until);
  if (!slot.parts.empty()) {
    if (taken_back) freeParts(slot, until);
    endParts(slot, event.reason, detail, until);
  }
  settleBill(slot, until, taken_back);
}

void Stepper::on(const MachineGone& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) return;
  Machine& machine = slot->machine;
  if (event.since != Time{}) startBilling(*slot, event.since);
  const Time until = event.until == Time{} ? now_ : event.until;
  if (machine.phase == MachinePhase::requested) {
    const std::string detail = event.detail.empty() ? "it is gone" : event.detail;
    settleEnd(*slot, event, detail, until);
    return launchFailed(*slot, LaunchError::other, detail);
  }
  const bool wanted = machine.phase == MachinePhase::releasing;
  const std::string_view how = event.reason == GoneReason::reclaimed    ? "was reclaimed"
                               : event.reason == GoneReason::terminated ? "was terminated"
                                                                        : "has vanished";
  const std::string detail = strCat({machine.id.toString(), wanted ? " is gone" : " ", wanted ? "" : how,
                                     event.detail.empty() ? "" : ": ", event.detail});
  record(wanted ? "gone" : "lost", detail, machine);
  JobSlot* const job = s_.findJob(machine.job);
  if (!wanted && job && !machine.notice_deadline && event.reason != GoneReason::terminated) {
    ++ledgerOf(job->job).reclaims_unnoticed;
    touch(*job);
  }
  if (machine.phase == MachinePhase::booting) {
    noteLaunchFailure(*slot->pool, machine.market, LaunchError::other,
                      "it was lost before its agent connected");
  }
  machine.taken = !wanted && event.reason != GoneReason::terminated;
  cutHeld(*slot, until);
  settleEnd(*slot, event, detail, until);
  enterPhase(*slot, MachinePhase::gone);
  loseMachine(*slot, detail);
}

void Stepper::on(const MachineAlive& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) {
    out_.actions.push_back(TerminateMachine{event.machine});  // nobody's: it would be paid for and never used
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  JobSlot* job = nullptr;
  Member* const member = memberOf(*slot, &job);
  if (!member || job->job.current->verify_until == Time{}) return;
  member->verified = true;
  touch(*job);
  for (const Member& other : job->job.current->members) {
    if (!other.verified) return;
  }
  confirmFailure(*job);
}

void Stepper::on(const PriceChanged& event) {
  const auto found = s_.pools.find(event.pool);
  if (found == s_.pools.end() || !found->second.known) return;
  PoolSlot& pool = found->second;
  if (event.machine) {
    MachineSlot* const slot = s_.findMachine(event.machine);
    if (slot && slot->pool == &pool && slot->machine.market == Market::spot)
      setPrice(*slot, event.spot_price, slot->machine.on_demand_price, event.since);
    return;
  }
  for (MachineType& type : pool.pool.types) {
    if (type.name != event.type || type.spot_price == event.spot_price) continue;
    type.spot_price = event.spot_price;
    touch(pool);
    if (!event.offers_only) setPrices(pool, type, event.since);
    s_.wake(pool);
    s_.askAll(pool);
  }
}

// ---- from agents, about their machine

void Stepper::on(const AgentConnected& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) {
    out_.actions.push_back(DirectAgent{event.machine, directiveOf(s_, nullptr)});
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  setAddress(*slot, event.address);
  redirect(*slot);
  hear(*slot);
}

void Stepper::on(const LeaseRenewed& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot) return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  hear(*slot);
}

void Stepper::on(const NoticeReceived& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) return;
  Machine& machine = slot->machine;
  // What one part's agent was told goes for all of its host: nothing more is put there.
  if (const MachineSlot* const host = s_.findMachine(machine.host); host && !host->machine.notice_deadline)
    return on(NoticeReceived{machine.host, event.deadline});
  const bool first = !machine.notice_deadline;
  // Agents tell the time that is left with every report: the deadline comes out a little different each time.
  if (!first && std::chrono::abs(*machine.notice_deadline - event.deadline) < kSameNotice) return;
  machine.notice_deadline = event.deadline;
  touch(*slot);
  for (const MachineId part : std::vector<MachineId>(slot->parts)) on(NoticeReceived{part, event.deadline});
  if (!first) return redirect(*slot);
  const Duration left = std::max(Duration{0}, event.deadline - now_);
  record("notice", strCat({machine.id.toString(), " will be reclaimed in ", formatDuration(left)}), machine);
  JobSlot* const job = s_.findJob(machine.job);
  if (!job) {
    if (machine.phase == MachinePhase::idle && machine.holder.empty())
      release(*slot, "it is about to be reclaimed");
    return;
  }
  ++ledgerOf(job->job).reclaims_noticed;
  touch(*job);
  Member* const member = memberOf(*slot);
  if (member && member->phase != MemberPhase::done) {
    noticeMember(*job, *slot, *member);
  } else if (machine.phase != MachinePhase::releasing) {
    release(*slot, "it is about to be reclaimed");
    vacate(*job, machine.id);
  }
  advance(*job);
}

// ---- from people

void Stepper::on(const ReclaimMachine& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) {
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  const Machine& machine = slot->machine;
  if (machine.host) return on(ReclaimMachine{machine.host, event.notice});
  if (machine.phase == MachinePhase::requested || machine.phase == MachinePhase::releasing) {
    return refuse(
        ErrorCode::failed_precondition,
        strCat({machine.id.toString(), " is ", toString(machine.phase), ": there is nothing to reclaim"}));
  }
  slot->machine.reclaim_asked = true;
  touch(*slot);
  out_.actions.push_back(RequestReclaim{event.machine, event.notice});
  record("reclaim_requested",
         strCat({"a reclaim of ", machine.id.toString(), " was asked for, ",
                 event.notice == Duration{0} ? "without notice"
                                             : "with a notice of " + formatDuration(event.notice)}),
         machine);
}

void Stepper::on(const OpenMachine& event) {
  const auto found = s_.pools.find(event.pool);
  if (found == s_.pools.end() || !found->second.known) {
    return refuse(ErrorCode::not_found, strCat({"no pool '", event.pool, "'"}));
  }
  if (event.holder.empty())
    return refuse(ErrorCode::invalid_argument, "a machine is held by somebody: no holder given");
  PoolSlot& pool = found->second;
  const PoolView view = viewOf(s_, pool, event.resources);
  const PlacementRequest request{
      .resources = event.resources,
      .spot = event.market == Market::spot ? SpotPreference::only : SpotPreference::never};
  Placement placement = policy_.place(request, {&view, 1}, now_);
  if (!placement.pool) return refuse(ErrorCode::resource_exhausted, whyWaiting(placement));
  auto decision = decisionOn(request, {&view, 1});
  MachineSlot* slot = takeIdle(pool, event.resources, placement.market);
  const bool reused = slot != nullptr;
  if (!slot) slot = &launch(pool, *placement.type, placement.market);
  Machine& machine = slot->machine;
  closeSpan(*slot, now_);
  machine.holder = event.holder;
  if (reused) pool.idle.erase(machine.id);
  touch(*slot);
  decision->machines = {machine.id};
  Record& made =
      record("opened", strCat({machine.id.toString(), " is held open by ", event.holder}), machine);
  made.candidates = std::move(placement.candidates);
  made.decision = std::move(decision);
  out_.reply.machine = machine.id;
}

void Stepper::on(const CloseMachine& event) {
  MachineSlot* const slot = s_.findMachine(event.machine);
  if (!slot || slot->machine.phase == MachinePhase::gone) {
    return refuse(ErrorCode::not_found, "no machine " + event.machine.toString());
  }
  if (slot->machine.phase == MachinePhase::releasing) return;
  if (slot->machine.holder.empty()) {
    return refuse(ErrorCode::failed_precondition, event.machine.toString() + " is not held open by anybody");
  }
  release(*slot, "closed by its holder");
}

void Stepper::on(const PutPool& event) {
  if (event.pool.name.empty()) return refuse(ErrorCode::invalid_argument, "a pool needs a name");
  PoolSlot& slot = s_.poolSlot(event.pool.name);
  const bool made = !slot.known;
  Pool seen = std::move(slot.pool);
  slot.pool = event.pool;
  slot.known = true;
  // What was learned of it stays.
  slot.pool.launch_seen = seen.launch_seen;
  slot.pool.spot_seen = std::move(seen.spot_seen);
  slot.pool.learned_until = seen.learned_until;
  slot.pool.market_learned = seen.market_learned;
  slot.pool.market_news = seen.market_news;
  // Whoever changes a pool has done something about its failures: it is tried again at once.
  slot.pool.consecutive_failures = slot.pool.spot_failures = 0;
  slot.pool.retry_at = slot.pool.spot_retry_at = Time{};
  for (const MachineType& type : slot.pool.types) {
    // What its provider said of single machines stays, too.
    const MachineType* const before = typeOf(seen, type.name);
    const bool same =
        before && before->spot_price == type.spot_price && before->on_demand_price == type.on_demand_price;
    if (!same) setPrices(slot, type, {}, before);
  }
  slot.roomy.clear();
  if (slot.pool.pack) slot.roomy = slot.machines;
  touch(slot);
  slot.pool.no_containers = made ? knownOfSiblings(slot) : seen.no_containers;
  if (made) s_.reopenAll();
  // Those that are kept in any case are others now.
  if (seen.min_machines != slot.pool.min_machines) {
    for (const MachineId id : slot.idle) touch(*s_.findMachine(id));
    s_.freed.insert(s_.freed.end(), slot.idle.begin(), slot.idle.end());
  }
  s_.wake(slot);
  s_.askAll(slot);
}

// What the other pools of its provider say: the provider is asked only now and then.
std::string Stepper::knownOfSiblings(const PoolSlot& pool) const {
  for (const auto& [name, other] : s_.pools) {
    if (&other != &pool && other.known && other.pool.provider == pool.pool.provider)
      return other.pool.no_containers;
  }
  return {};
}

void Stepper::on(const ContainersChanged& event) {
  for (auto& [name, slot] : s_.pools) {
    if (!slot.known || slot.pool.provider != event.provider || slot.pool.no_containers == event.problem)
      continue;
    slot.pool.no_containers = event.problem;
    touch(slot);
    s_.wake(slot);
    s_.askAll(slot);
  }
}

void Stepper::on(const PutQueue& event) {
  if (event.queue.name.empty()) return refuse(ErrorCode::invalid_argument, "a queue needs a name");
  for (const std::string& name : event.queue.pools) {
    const auto found = s_.pools.find(name);
    if (found == s_.pools.end() || !found->second.known) {
      return refuse(ErrorCode::not_found, strCat({"no pool '", name, "'"}));
    }
  }
  for (PoolSlot* const pool : s_.pools_by_number) pool->vacant.clear();
  QueueSlot& slot = s_.queueSlot(event.queue.name);
  Queue seen = std::move(slot.queue);
  slot.queue = event.queue;
  slot.queue.used = std::move(seen.used);
  slot.queue.used_at = seen.used_at;
  slot.known = true;
  touch(slot);
  if (seen.fair != slot.queue.fair) recount(slot);
  s_.reopenAll();
  // Ranks hold the queue's priority.
  s_.jobs.forEach([&](std::uint64_t, const JobSlot& job) {
    if (job.vacant_in) job.vacant_in->vacant.insert(s_.rankOf(job.job));
  });
}

}  // namespace buoy::engine
