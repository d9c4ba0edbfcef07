#include "sim/auditor.h"

#include <algorithm>
#include <cstdlib>

#include "base/strings.h"

namespace buoy::sim {

using engine::Job;
using engine::Machine;
using engine::MachinePhase;
using engine::MemberPhase;

// ---- what the engine makes durable

void Auditor::committed(const engine::State& state, const engine::Changes& changes) {
  for (const MachineId id : changes.machines) notePart(state, *state.machine(id));
  for (const engine::Span& span : changes.spans) addSpan(span);
  for (const JobId id : changes.jobs) checkJob(state, *state.job(id));
  for (const MachineId id : changes.machines) checkMachine(state, *state.machine(id));
}

void Auditor::checkDecision(const engine::Record& record, const engine::PlacementPolicy& policy) {
  if (record.decision && record.decision->steered) {
    if (!engine::rederives(*record.decision->steered, policy))
      core_.problem("what a spot policy answered comes out otherwise from its record");
    return;
  }
  if (record.candidates.empty()) return;
  const auto problem = [&](std::string_view what) { core_.problem(strCat({"a ", record.kind, what})); };
  if (!record.decision) return problem(" record has candidates, and not what was known");
  const engine::Placement again = engine::rederive(*record.decision, record.at, policy);
  using Candidate = engine::Record::Candidate;
  const auto same = [](const Candidate& a, const Candidate& b) {
    return a.pool == b.pool && a.type == b.type && a.market == b.market && a.price == b.price &&
           a.rejected == b.rejected;
  };
  if (!std::equal(again.candidates.begin(), again.candidates.end(), record.candidates.begin(),
                  record.candidates.end(), same)) {
    problem(" decision comes out otherwise from its record");
  }
  if ((again.pool != nullptr) == record.decision->machines.empty())
    problem(" decision names its machines wrongly");
}

// Whether none of it was covered.
bool Auditor::cover(std::vector<Interval>& covered, Interval span) {
  if (!covered.empty() && covered.back().until == span.from) {  // as nearly always
    covered.back().until = span.until;
    return true;
  }
  const auto after = std::find_if(covered.begin(), covered.end(),
                                  [&](const Interval& each) { return each.until > span.from; });
  const bool fresh = after == covered.end() || after->from >= span.until;
  auto at = covered.insert(after, span);
  if (at + 1 != covered.end() && (at + 1)->from == at->until) {
    at->until = (at + 1)->until;
    at = covered.erase(at + 1) - 1;
  }
  if (at != covered.begin() && (at - 1)->until == at->from) {
    (at - 1)->until = at->until;
    covered.erase(at);
  }
  return fresh;
}

void Auditor::addSpan(const engine::Span& span) {
  MachineAccount& account = machines_.make(span.machine.value);
  if (span.end <= span.begin) core_.problem(span.machine.toString() + " has an empty span");
  BUOY_CHECK(span.amount == Money{});  // no pool here has a BillingRule
  if (span.price.nano_usd < 0) core_.problem(span.machine.toString() + " has a negative price");
  const ExactCost paid = ExactCost{span.price.nano_usd} * (span.end - span.begin).count();
  MachineAccount& payer = account.host ? machines_.make(account.host.value) : account;
  payer.spans += paid;
  if (account.host) payer.parts_until = std::max(payer.parts_until, span.end);
  ledger_total_ += paid;
  if (!cover(account.covered, {span.begin, span.end}))
    core_.problem(strCat({"a second of ", span.machine.toString(), " is counted twice"}));
  if (account.gone) trySettle(span.machine.value);
  if (!span.job) return;
  JobAccount& job = jobs_.make(span.job.value);
  if (job.finished) core_.problem(span.job.toString() + " is charged after it has finished");
  engine::Ledger& ledger = job.ledger;
  ledger.time[static_cast<std::size_t>(span.use)] += span.end - span.begin;
  ledger.cost[static_cast<std::size_t>(span.use)] += cost(span.price, span.end - span.begin);
}

// ---- parts of machines

bool Auditor::isDenied(MachineId machine) const {
  const MachineAccount* const account = machines_.find(machine.value);
  return denied_.count(machine.value) > 0 ||
         (account && account->host && denied_.count(account->host.value) > 0);
}

void Auditor::notePart(const engine::State& state, const Machine& machine) {
  if (!machine.host) return;
  MachineAccount& account = machines_.make(machine.id.value);
  account.host = machine.host;
  account.room = machine.part;
  MachineAccount& host = machines_.make(machine.host.value);
  host.shared = true;
  const Machine* const whole = state.machine(machine.host);
  const engine::Pool* const pool = whole ? state.pool(whole->pool) : nullptr;
  if (!pool) return;
  for (const engine::MachineType& type : pool->types) {
    if (type.name == whole->type) host.room = type.resources;
  }
  if (machine.phase == MachinePhase::gone) return;
  if (whole->job) core_.problem(machine.host.toString() + " has a job itself and parts");
  checkRoom(state, machine.host);
}

void Auditor::checkRoom(const engine::State& state, MachineId host) {
  engine::Resources used{.milli_cpus = 0};
  std::set<std::int32_t> devices;
  state.forEachMachine([&](const Machine& each) {
    if (each.host != host || each.phase == MachinePhase::gone) return;
    used.milli_cpus += each.part.milli_cpus;
    used.gpus += each.part.gpus;
    used.memory.value += each.part.memory.value;
    devices.insert(each.devices.begin(), each.devices.end());
  });
  const engine::Resources& room = machines_.make(host.value).room;
  const auto gpus = static_cast<std::int32_t>(devices.size());
  const bool distinct = gpus == used.gpus && (devices.empty() || *devices.rbegin() < room.gpus);
  if (!engine::covers(room, used) || !distinct) core_.problem(host.toString() + " has no room for its parts");
}

// What really runs.
void Auditor::checkWorking(MachineId machine, bool begins) {
  const MachineAccount& part = machines_.make(machine.value);
  if (!part.host) return;
  MachineAccount& host = machines_.make(part.host.value);
  if (!begins) {
    host.working.erase(machine);
    return;
  }
  host.working.insert(machine);
  engine::Resources used{.milli_cpus = 0};
  for (const MachineId each : host.working) {
    const engine::Resources& room = machines_.make(each.value).room;
    used.milli_cpus += room.milli_cpus;
    used.gpus += room.gpus;
    used.memory.value += room.memory.value;
  }
  if (denied_.count(part.host.value) == 0 && !engine::covers(host.room, used))
    core_.problem(part.host.toString() + " runs more than it has room for");
}

void Auditor::checkJob(const engine::State& state, const Job& job) {
  JobAccount& account = jobs_.make(job.id.value);
  const auto problem = [&](std::string_view what) { core_.problem(strCat({job.id.toString(), what})); };
  if (account.finished) problem(" changes after it has finished");
  if (job.next && !job.current) problem(" has a next attempt and no current one");
  for (const engine::Attempt* const attempt : {job.current.get(), job.next.get()}) {
    if (!attempt) continue;
    if (engine::isTerminal(job.phase)) problem(" has finished and has an attempt");
    if (attempt->epoch > job.epoch) problem(" has an attempt of the future");
    for (const engine::Member& member : attempt->members) {
      if (member.phase == MemberPhase::done || !member.machine) continue;
      const Machine* const machine = state.machine(member.machine);
      if (!machine || machine->job != job.id)
        problem(strCat({" counts on ", member.machine.toString(), ", which is not its own"}));
    }
  }
  checkBudget(job);
  if (!engine::isTerminal(job.phase)) return;
  checkDeadline(job);
  account.finished = true;
  account.phase = job.phase;
  account.limited = job.request.max_run > Duration{0} || job.request.max_wait > Duration{0};
  ++jobs_finished_;
  const engine::Ledger ledger = job.ledger ? *job.ledger : engine::Ledger{};
  if (ledger.time != account.ledger.time || ledger.cost != account.ledger.cost)
    problem(": its ledger is not the sum of its spans");
}

// Whatever the market and the faults that were excused for did.
void Auditor::checkBudget(const Job& job) {
  if (job.request.budget == Money{} || !job.ledger) return;
  Money spent;
  for (const Money each : job.ledger->cost) spent += each;
  if (spent <= job.request.budget) return;
  // Machines that nobody could stop; both attempts of a move may have their own.
  const Duration away = excused(job.submitted, core_.now);
  const Money more = cost(highest_, away * 2 * job.request.machines);
  if (spent.nano_usd <= job.request.budget.nano_usd + more.nano_usd) return;
  core_.problem(strCat({job.id.toString(), " costs ", formatMoney(spent), " and has a budget of ",
                        formatMoney(job.request.budget)}));
}

void Auditor::checkDeadline(const Job& job) {
  if (!promises || job.request.policy == engine::SpotRule::none || job.request.budget != Money{} ||
      job.phase != engine::JobPhase::succeeded || jobs_.make(job.id.value).deserted)
    return;
  const Time deadline = *engine::deadlineOf(job.request, job.submitted);
  const Duration late = core_.now - deadline - excused(job.submitted, core_.now);
  if (late <= Duration{0}) return;
  core_.problem(strCat({job.id.toString(), " has missed its deadline by ", formatDuration(late)}));
}

void Auditor::checkMachine(const engine::State& state, const Machine& machine) {
  MachineAccount& account = machines_.make(machine.id.value);
  account.on_demand = machine.market == engine::Market::on_demand;
  const bool let_go = machine.phase == MachinePhase::releasing || machine.phase == MachinePhase::gone;
  if (let_go && account.let_go == Time{}) account.let_go = core_.now;
  if (account.heard_at == Time{} && machine.billed_from != Time{}) {
    account.heard_at = core_.now;
    account.heard_from = machine.billed_from;
  }
  if (!machine.holder.empty() && machine.job)
    core_.problem(machine.id.toString() + " is held and given to a job");
  if (machine.phase == MachinePhase::gone) {
    account.gone = true;
    trySettle(machine.id.value);
    return;
  }
  if (!machine.job) return;
  const Job* const job = state.job(machine.job);
  bool member = false;
  for (const engine::Attempt* const attempt :
       {job ? job->current.get() : nullptr, job ? job->next.get() : nullptr}) {
    if (!attempt) continue;
    for (const engine::Member& each : attempt->members) member = member || each.machine == machine.id;
  }
  if (!member) core_.problem(machine.id.toString() + " belongs to a job that does not know it");
}

// ---- what is ordered, and what really runs

void Auditor::directed(MachineId machine, const engine::Directive& directive) {
  if (directive.kind != engine::Directive::Kind::run) return;
  JobAccount& account = jobs_.make(directive.job.value);
  if (directive.epoch < account.directed)
    core_.problem(machine.toString() + " is directed to run an old epoch");
  account.directed = std::max(account.directed, directive.epoch);
  for (const JobAccount::Worker& other : account.workers) {
    if (other.epoch >= directive.epoch || isDenied(other.machine)) continue;
    core_.problem(strCat({directive.job.toString(), " is started again while ", other.machine.toString(),
                          " still works on it"}));
  }
}

void Auditor::deserted(JobId job, Epoch epoch, MachineId machine) {
  if (!job || !machines_.make(machine.value).on_demand) return;
  JobAccount& account = jobs_.make(job.value);
  if (epoch == account.directed) account.deserted = true;
}

void Auditor::workBegins(JobId job, std::int32_t rank, Epoch epoch, MachineId machine) {
  JobAccount& account = jobs_.make(job.value);
  for (const JobAccount::Worker& other : account.workers) {
    if (other.rank != rank || isDenied(other.machine) || isDenied(machine)) continue;
    core_.problem(strCat(
        {job.toString(), " is twice at once, on ", other.machine.toString(), " and ", machine.toString()}));
  }
  account.workers.push_back({machine, rank, epoch, false});
  checkWorking(machine, true);
}

void Auditor::workEnds(JobId job, MachineId machine) {
  checkWorking(machine, false);
  std::erase_if(jobs_.make(job.value).workers,
                [&](const JobAccount::Worker& worker) { return worker.machine == machine; });
}

void Auditor::processBegins(JobId job, std::int32_t rank, Epoch epoch, MachineId machine) {
  for (JobAccount::Worker& worker : jobs_.make(job.value).workers) {
    const bool own = worker.machine == machine && worker.rank == rank && worker.epoch == epoch;
    if (own && worker.runs) core_.problem(machine.toString() + " runs a process twice");
    if (own) worker.runs = true;
  }
}

void Auditor::processEnds(JobId job, std::int32_t, MachineId machine) {
  for (JobAccount::Worker& worker : jobs_.make(job.value).workers) {
    if (worker.machine == machine) worker.runs = false;
  }
}

void Auditor::fenced(JobId job, Epoch epoch) {
  JobAccount& account = jobs_.make(job.value);
  if (epoch < account.fence) core_.problem(job.toString() + " has a fence of an old epoch");
  account.fence = std::max(account.fence, epoch);
}

void Auditor::versionCommitted(JobId job, Epoch epoch, std::uint64_t version, Duration done) {
  JobAccount& account = jobs_.make(job.value);
  if (epoch < account.fence) {
    core_.problem(strCat({job.toString(), ": epoch ", std::to_string(epoch), " commits behind the fence of ",
                          std::to_string(account.fence)}));
  }
  if (!account.versions.empty() && version <= account.versions.back().number)
    core_.problem(job.toString() + " commits a version twice");
  if (account.versions.size() >= 32)
    account.versions.erase(account.versions.begin(), account.versions.begin() + 16);
  account.versions.push_back({version, epoch, done});
}

// Only what was committed before the fence, and the newest of that.
void Auditor::restored(JobId job, Epoch epoch, const std::optional<CheckpointWriter::Committed>& base) {
  const JobAccount::Version* newest = nullptr;
  for (const JobAccount::Version& version : jobs_.make(job.value).versions) {
    if (version.epoch < epoch) newest = &version;
  }
  const std::uint64_t expected = newest ? newest->number : 0;
  const std::uint64_t got = base ? base->version : 0;
  if (expected != got || (newest && newest->done != base->done)) {
    core_.problem(strCat({job.toString(), " restores version ", std::to_string(got), " instead of ",
                          std::to_string(expected)}));
  }
}

// ---- money

void Auditor::billed(MachineId machine, const Bill& bill) {
  MachineAccount& account = machines_.make(machine.value);
  if (account.has_bill) core_.problem(machine.toString() + " is billed twice");
  account.has_bill = true;
  account.bill = bill;
  billed_total_ += bill.cost;
  if (account.let_go != Time{}) {
    const Duration after = bill.until - std::max(account.let_go, bill.since);
    const Duration excuse = excused(account.let_go, bill.until);
    if (after - excuse > leak_bound) {
      core_.problem(
          strCat({machine.toString(), " went on for ", formatDuration(after), " after it was let go"}));
    }
  }
  trySettle(machine.value);
}

Duration Auditor::excused(Time from, Time until) const {
  Duration sum{};
  for (const Interval& each : excuses_) {
    const Time begin = std::max(from, each.from), end = std::min(until, each.until);
    if (end > begin) sum += end - begin;
  }
  return sum;
}

ExactCost Auditor::tolerance(const MachineAccount& account) const {
  const Bill& bill = account.bill;
  ExactCost sum = 0;
  if (const Time until = std::max(account.covered.back().until, account.parts_until); until > bill.until)
    sum += ExactCost{highest_.nano_usd} * (until - bill.until).count();
  // What was added when the provider's word came at last is at the price of that moment.
  if (account.heard_from > bill.since)
    sum += ExactCost{highest_.nano_usd} * (account.heard_from - bill.since).count();
  for (const Unknown& each : unknown_prices_) {
    const Time begin = std::max(bill.since, each.from), end = std::min(bill.until, each.until);
    if (end > begin) sum += ExactCost{each.by.nano_usd} * (end - begin).count();
    // Changed before the engine had heard of the machine: all of it is at the price of that moment.
    if (each.from > bill.since && each.from <= account.heard_at)
      sum += ExactCost{each.by.nano_usd} * (each.from - bill.since).count();
  }
  return sum;
}

// Whether the account agrees with the cloud's bill.
bool Auditor::settle(std::uint64_t id, const MachineAccount& account) {
  if (account.host) return account.covered.size() <= 1;  // its money is in its host's account
  if (!account.has_bill) return account.covered.empty() && account.spans == 0;
  const Bill& bill = account.bill;
  if (account.covered.empty()) return bill.since == bill.until;
  // What the provider had denied, the ledger cannot have.
  if (denied_.count(id) > 0) return account.covered.size() == 1 && account.covered[0].from == bill.since;
  if (account.covered.size() != 1 || account.covered[0].from != bill.since) return false;
  // What was closed before the news of its end arrived stays as it is.
  const Time until = account.covered[0].until;
  if (until < bill.until || until - bill.until > news_bound + excused(bill.until, until)) return false;
  const ExactCost difference =
      account.spans > bill.cost ? account.spans - bill.cost : bill.cost - account.spans;
  return difference == 0 || difference <= tolerance(account);
}

// Made after the engine had given it up, or after the refusal by which the engine was about to: in nobody's
// ledger, but within the bound for leaks.
bool Auditor::madeInVain(const MachineAccount& account) {
  if (!account.has_bill || account.let_go == Time{}) return false;
  return account.bill.since >= account.let_go || (account.refused && account.covered.empty());
}

void Auditor::refused(MachineId machine) {
  if (MachineAccount* const account = machines_.find(machine.value)) account->refused = true;
}

void Auditor::trySettle(std::uint64_t id) {
  MachineAccount& account = *machines_.find(id);
  // Where the ledger has more than the bill, still more may come.
  const bool complete = account.gone && account.has_bill && !account.shared && denied_.count(id) == 0 &&
                        (account.covered.empty() || account.covered.back().until == account.bill.until);
  if (complete && settle(id, account)) machines_.erase(id);
}

// ---- the end

void Auditor::checkEnd(const std::vector<std::pair<JobId, const Program*>>& programs) {
  for (const std::uint64_t id : submitted_) {
    if (!jobs_.make(id).finished) core_.problem(JobId{id}.toString() + " was lost");
  }
  for (const auto& [id, program] : programs) {
    const JobAccount& finished = jobs_.make(id.value);
    if (!finished.finished) continue;
    const std::string name = id.toString();
    if (finished.phase == engine::JobPhase::succeeded && !program->completed)
      core_.problem(name + " has succeeded without having done its work");
    if (finished.phase == engine::JobPhase::cancelled && cancelled_.count(id.value) == 0)
      core_.problem(name + " was cancelled by nobody");
    if (finished.phase == engine::JobPhase::timed_out && !finished.limited)
      core_.problem(name + " has timed out without a limit");
    const bool could_fail = program->plan.failures > 0 || program->plan.breaks_with_peer;
    if (finished.phase == engine::JobPhase::failed && !could_fail)
      core_.problem(name + " has failed although its program never does");
  }
  machines_.forEach([&](std::uint64_t id, const MachineAccount& account) {
    const std::string name = MachineId{id}.toString();
    if (!account.gone) core_.problem(name + " was left behind by the engine");
    if (madeInVain(account)) return;
    if (settle(id, account)) return;
    std::string spans;
    for (const Interval& each : account.covered)
      spans += strCat({" ", formatTime(each.from), " to ", formatTime(each.until)});
    core_.problem(strCat({"the ledger of ", name, " (", spans.empty() ? "no time" : spans.substr(1),
                          ") is not the cloud's bill (", formatTime(account.bill.since), " to ",
                          formatTime(account.bill.until), ")"}));
  });
}

}  // namespace buoy::sim
