#include "engine/engine_model_test_support.h"

#include <algorithm>

namespace buoy::engine::testing {

using namespace std::chrono_literals;

Model::Model(std::vector<std::uint32_t> choices) : choices_(std::move(choices)) {
  settings_.lease = 15s;
  settings_.boot_timeout = 120s;
  settings_.launch_backoff_max = 8s;
  settings_.gang_hold = 20s;
  settings_.idle_timeout = choices_.pick(2) == 0 ? 0s : 30s;
  Pool small = poolOf("a", 4);
  feed(PutPool{small});
  feed(PutPool{poolOf("b", static_cast<std::int32_t>(choices_.pick(2) * 6))});
  feed(PutQueue{{.name = "default"}});
  feed(PutQueue{{.name = "urgent", .priority = 5, .pools = {"b", "a"}}});
  commit();
}

// ---- the control plane

void Model::feed(const Event& event) {
  step(state_, event, now_, settings_, policy_, out_);
  if (const auto* submit = std::get_if<SubmitJob>(&event); submit && out_.reply.accepted) {
    unacknowledged_.push_back(out_.reply.job);
  }
  if (observe) observe(&event, now_, out_);
  if (std::get_if<OpenMachine>(&event) && out_.reply.accepted) held_.push_back(out_.reply.machine);
  checkStep();
}

void Model::commit() {
  const auto unique = [&](const auto& ids, const char* what) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (std::find(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1, ids.end(), ids[i]) != ids.end()) {
        problem(std::string("changes name a ") + what + " twice");
      }
    }
  };
  unique(out_.changes.jobs, "job");
  unique(out_.changes.machines, "machine");
  for (const JobId id : out_.changes.jobs) {
    const Job& job = *state_.job(id);
    const auto stored = jobs_.find(id.value);
    const bool was_terminal = stored != jobs_.end() && isTerminal(stored->second.phase);
    if (was_terminal) problem(id.toString() + " changed after it had finished");
    if (isTerminal(job.phase) && !was_terminal) ++finished_[id.value];
    jobs_.insert_or_assign(id.value, clone(job));
  }
  for (const MachineId id : out_.changes.machines) machines_.insert_or_assign(id.value, *state_.machine(id));
  for (const std::string& name : out_.changes.pools) pools_.insert_or_assign(name, *state_.pool(name));
  for (const std::string& name : out_.changes.queues) queues_.insert_or_assign(name, *state_.queue(name));
  spans_.insert(spans_.end(), out_.changes.spans.begin(), out_.changes.spans.end());
  for (const Record& record : out_.changes.records) checkDecision(record);
  for (const JobId id : unacknowledged_) submitted_.insert(id.value);
  unacknowledged_.clear();
  forget(state_, out_.changes);
  for (Action& action : out_.actions) {
    // The hub keeps the newest directive; everything else goes to workers, in any order, sometimes twice.
    if (const auto* direct = std::get_if<DirectAgent>(&action)) {
      if (direct->directive != directiveFor(state_, direct->machine))
        continue;  // a later one of this batch follows
      instances_[direct->machine.value].hub = direct->directive;
      checkDirective(direct->machine, direct->directive);
      continue;
    }
    if (choices_.oneIn(8)) actions_.push_back(action);
    actions_.push_back(std::move(action));
  }
  out_.clear();
}

// The policy, shown again what the record says it was shown, answers as it did.
void Model::checkDecision(const Record& record) {
  if (record.candidates.empty()) return;
  if (!record.decision) return problem("a " + record.kind + " record has candidates, and not what was known");
  const Placement again = rederive(*record.decision, record.at, policy_);
  const auto same = [](const Record::Candidate& a, const Record::Candidate& b) {
    return a.pool == b.pool && a.type == b.type && a.market == b.market && a.price == b.price &&
           a.rejected == b.rejected;
  };
  if (!std::equal(again.candidates.begin(), again.candidates.end(), record.candidates.begin(),
                  record.candidates.end(), same)) {
    problem("a " + record.kind + " decision comes out otherwise from its record");
  }
  if ((again.pool != nullptr) == record.decision->machines.empty())
    problem("a " + record.kind + " decision names its machines wrongly");
}

// Whatever is not committed never was. What agents were not answered they say again; what the provider said
// is asked.
void Model::crash() {
  ++crashes_;
  out_.clear();
  unacknowledged_.clear();
  actions_.clear();
  held_.clear();
  State state;
  std::uint64_t next_job = 1, next_machine = 1;
  for (const auto& [id, machine] : machines_) {
    next_machine = id + 1;
    if (machine.phase == MachinePhase::gone) continue;
    if (!machine.holder.empty()) held_.push_back(machine.id);
    state.restore(machine);
  }
  for (const auto& [id, job] : jobs_) {
    next_job = id + 1;
    if (!isTerminal(job.phase)) state.restore(clone(job));
  }
  for (const auto& [name, queue] : queues_) state.restore(queue);
  for (const auto& [name, pool] : pools_) state.restore(pool);
  state.setNextIds(next_job, next_machine);
  state_ = std::move(state);
  resume(state_, now_, settings_, policy_, out_);
  if (observe) observe(nullptr, now_, out_);
  checkStep();
  commit();
  for (auto& [id, instance] : instances_) {
    if (instance.alive) emit(MachineAlive{MachineId{id}});  // Provider::list
  }
}

// ---- the cloud

void Model::emit(Event event) {
  if (choices_.oneIn(10)) events_.push_back(event);
  events_.push_back(std::move(event));
}

void Model::die(MachineId id, GoneReason reason) {
  Instance& instance = instances_[id.value];
  instance.alive = false;
  instance.reason = reason;
  emit(MachineGone{id, reason, ""});
}

void Model::carryOut(const Action& action) {
  if (const auto* launch = std::get_if<LaunchMachine>(&action)) {
    Instance& instance = instances_[launch->machine.value];
    if (instance.alive) return emit(LaunchSucceeded{launch->machine, "ref", "addr"});
    if (instance.ever) return emit(MachineGone{launch->machine, instance.reason, ""});
    if (choices_.oneIn(8)) {
      const auto error = static_cast<LaunchError>(choices_.pick(6));
      return emit(LaunchFailed{launch->machine, error, ""});
    }
    instance.alive = instance.ever = true;
    emit(LaunchSucceeded{launch->machine, "ref", "addr"});
  } else if (const auto* terminate = std::get_if<TerminateMachine>(&action)) {
    die(terminate->machine, GoneReason::terminated);
  } else if (const auto* query = std::get_if<QueryMachine>(&action)) {
    const Instance& instance = instances_[query->machine.value];
    if (instance.alive) return emit(MachineAlive{query->machine});
    emit(MachineGone{query->machine, instance.reason, ""});
  } else if (const auto* reclaim = std::get_if<RequestReclaim>(&action)) {
    notice(reclaim->machine, reclaim->notice);
  }
}

void Model::deliverOne() {
  const auto total = static_cast<std::uint32_t>(events_.size() + actions_.size());
  if (total == 0) return;
  const std::uint32_t index = choices_.pick(total);
  if (index < events_.size()) {
    Event event = std::move(events_[index]);
    events_.erase(events_.begin() + index);
    feed(event);
    if (past_.size() < 64) past_.push_back(std::move(event));
  } else {
    const std::size_t at = index - events_.size();
    const Action action = std::move(actions_[at]);
    actions_.erase(actions_.begin() + static_cast<std::ptrdiff_t>(at));
    carryOut(action);
  }
}

void Model::marketActs() {
  for (auto& [id, instance] : instances_) {
    if (instance.alive && instance.reclaim_at && now_ >= *instance.reclaim_at)
      die(MachineId{id}, GoneReason::reclaimed);
  }
}

// ---- the agents

void Model::adopt(MachineId id, const Directive& directive) {
  Instance& instance = instances_[id.value];
  instance.job = directive.job;
  instance.epoch = directive.epoch;
  instance.rank = directive.rank;
  instance.phases.clear();
  instance.committed = 0;
  instance.result.reset();
  instance.phase = MemberPhase::assigned;
  for (const auto& [other_id, other] : instances_) {
    if (other_id == id.value || !other.alive || other.job != directive.job || other.rank != directive.rank)
      continue;
    if (other.phase != MemberPhase::done) {
      problem(directive.job.toString() + " runs twice at once: on m" + std::to_string(other_id) + " and " +
              id.toString());
    }
  }
}

void Model::enter(MachineId id, MemberPhase phase) {
  Instance& instance = instances_[id.value];
  instance.phase = phase;
  // Clocks that disagree a little.
  instance.phases.push_back({phase, now_ - Duration{choices_.pick(3) * 1000}});
}

void Model::report(MachineId id) {
  const Instance& instance = instances_[id.value];
  emit(AgentReport{id, instance.job, instance.epoch, instance.phases, instance.committed, instance.covers,
                   instance.result});
}

void Model::agentActs(MachineId id, bool calm) {
  Instance& instance = instances_[id.value];
  if (!instance.alive) return;
  if (!instance.connected) {
    instance.connected = true;
    return emit(AgentConnected{id, "addr-" + id.toString()});
  }
  const Directive directive = instance.hub;
  const bool busy = instance.job && instance.phase != MemberPhase::done;
  if (directive.kind == Directive::Kind::shutdown) {
    if (choices_.oneIn(2)) die(id, GoneReason::vanished);
    return;
  }
  const bool other = directive.job != instance.job || directive.epoch != instance.epoch;
  if (directive.kind == Directive::Kind::run && !busy && other) adopt(id, directive);
  if (directive.kind == Directive::Kind::stop && !busy && other) {
    adopt(id, directive);  // told to stop what it has not begun
  }
  if (!instance.job) return emit(LeaseRenewed{id});
  if (instance.phase == MemberPhase::done) return report(id);
  const bool stop = (directive.kind == Directive::Kind::stop && !other) || instance.reclaim_at;
  if (stop) {
    if (instance.phase < MemberPhase::saving) {
      enter(id, MemberPhase::saving);
      if (choices_.pick(2) == 0) {
        ++instance.committed;
        instance.covers = now_;
      }
    } else {
      enter(id, MemberPhase::done);
      instance.result = MemberResult{MemberResult::Kind::stopped, 143, ""};
    }
    return report(id);
  }
  if (instance.phase < MemberPhase::running) {
    enter(id, static_cast<MemberPhase>(static_cast<int>(instance.phase) + 1));
  } else if (instance.phase == MemberPhase::running) {
    const std::uint32_t what = calm ? 0 : choices_.pick(10);
    if (what == 0) {
      enter(id, MemberPhase::saving);
    } else if (what == 1 && instance.rank == 0) {
      ++instance.committed;
      instance.covers = now_ - Duration{choices_.pick(1000) * 1000};
    } else if (what == 2) {
      static constexpr MemberResult::Kind kKinds[] = {
          MemberResult::Kind::exited, MemberResult::Kind::setup_failed, MemberResult::Kind::machine_lost,
          MemberResult::Kind::fenced, MemberResult::Kind::stopped};
      enter(id, MemberPhase::done);
      instance.result = MemberResult{kKinds[choices_.pick(5)], 1, "by chance"};
    }
  } else {
    enter(id, MemberPhase::done);
    instance.result = MemberResult{MemberResult::Kind::exited, 0, ""};
  }
  report(id);
}

// ---- people and time

void Model::userActs() {
  switch (choices_.pick(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: {
      JobRequest request;
      request.name = "job";
      request.queue = choices_.oneIn(3) ? "urgent" : "default";
      request.machines = static_cast<std::int32_t>(1 + choices_.pick(3));
      request.resources.milli_cpus = choices_.oneIn(4) ? 4000 : 1000;
      request.spot = static_cast<SpotPreference>(choices_.pick(3));
      request.priority = static_cast<std::int32_t>(choices_.pick(3));
      request.retry_failures = static_cast<std::int32_t>(choices_.pick(3));
      if (choices_.oneIn(8)) request.max_run = 40s;
      if (choices_.oneIn(8)) request.max_wait = 200s;
      if (choices_.oneIn(3)) request.pools = {choices_.oneIn(2) ? "a" : "b"};
      feed(SubmitJob{request});
      break;
    }
    case 5:
      feed(CancelJob{JobId{1 + choices_.pick(static_cast<std::uint32_t>(submitted_.size()) + 2)}});
      break;
    case 6: {
      Pool pool = *state_.pool(choices_.oneIn(2) ? "a" : "b");
      pool.paused = choices_.oneIn(3);
      feed(PutPool{pool});
      break;
    }
    case 7:
      feed(PutQueue{{.name = "urgent",
                     .priority = static_cast<std::int32_t>(choices_.pick(9)),
                     .pools = {"b"},
                     .paused = choices_.oneIn(3)}});
      break;
    case 8:
      feed(OpenMachine{"a", Market::spot, {}, "ada"});
      break;
    default:
      if (!held_.empty()) feed(CloseMachine{held_[choices_.pick(static_cast<std::uint32_t>(held_.size()))]});
  }
}

void Model::tick() {
  feed(Tick{});
  marketActs();
}

void Model::chaos() {
  while (!choices_.over() && problems_.empty()) {
    // Nearly always the ordinary: messages arrive and agents work. Now and then a fault.
    switch (choices_.pick(100)) {
      case 0:
        now_ += Duration{choices_.pick(40'000'000)};
        tick();
        break;
      case 1:
        if (choices_.oneIn(3)) crash();
        break;
      case 2:
        if (!past_.empty()) feed(Event{past_[choices_.pick(static_cast<std::uint32_t>(past_.size()))]});
        break;
      case 3:
        notice(anyMachine(), Duration{choices_.pick(30) * 1'000'000});
        break;
      case 4: {
        const MachineId id = anyMachine();
        if (instances_[id.value].alive) die(id, GoneReason::reclaimed);
        break;
      }
      case 5:
        feed(ReclaimMachine{anyMachine(), Duration{choices_.pick(10) * 1'000'000}});
        break;
      case 6:
        feed(PriceChanged{"a", "small", {100'000'000 + choices_.pick(9) * 50'000'000LL}});
        break;
      default: {
        const std::uint32_t what = choices_.pick(20);
        if (what == 0) {
          userActs();
        } else if (what < 3) {
          now_ += Duration{choices_.pick(1'000'000)};
          tick();
        } else if (what < 10) {
          agentActs(anyMachine(), false);
        } else if (what < 12) {
          commit();
        } else {
          deliverOne();
        }
      }
    }
  }
  commit();
}

// One that lives, mostly.
MachineId Model::anyMachine() {
  std::vector<MachineId> alive, all;
  for (const auto& [id, instance] : instances_) {
    all.push_back(MachineId{id});
    if (instance.alive) alive.push_back(MachineId{id});
  }
  const auto& from = alive.empty() || choices_.oneIn(20) ? all : alive;
  return from.empty() ? MachineId{1} : from[choices_.pick(static_cast<std::uint32_t>(from.size()))];
}

void Model::notice(MachineId id, Duration left) {
  Instance& instance = instances_[id.value];
  if (!instance.alive || instance.reclaim_at) return;
  instance.reclaim_at = now_ + left;
  emit(NoticeReceived{id, *instance.reclaim_at});
}

bool Model::everythingDone() const {
  return events_.empty() && actions_.empty() && state_.jobCount() == 0 && state_.machineCount() == 0;
}

bool Model::calmDown() {
  for (const std::string name : {"a", "b"}) {
    Pool pool = *state_.pool(name);
    pool.paused = false;
    feed(PutPool{pool});
  }
  feed(PutQueue{{.name = "urgent"}});
  commit();
  for (int round = 0; round < 3000 && problems_.empty(); ++round) {
    std::vector<MachineId> open;
    state_.forEachMachine([&](const Machine& machine) {
      if (!machine.holder.empty()) open.push_back(machine.id);
    });
    for (const MachineId id : open) feed(CloseMachine{id});
    commit();
    for (std::size_t left = events_.size() + actions_.size(); left > 0; --left) {
      deliverOne();
      commit();
    }
    std::vector<MachineId> alive;
    for (const auto& [id, instance] : instances_) {
      if (instance.alive) alive.push_back(MachineId{id});
    }
    if (everythingDone() && alive.empty()) return true;
    for (const MachineId id : alive) agentActs(id, true);
    now_ += 1s;
    tick();
    commit();
  }
  return false;
}

}  // namespace buoy::engine::testing
