#include "sim/agents.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::sim {

using engine::Directive;
using engine::MemberPhase;
using engine::MemberResult;

namespace {

constexpr Duration kMinReserve = std::chrono::milliseconds{200};

}  // namespace

Agents::Agents(Core& core, AgentTiming timing, Auditor& auditor, Ports ports)
    : core_(core), timing_(timing), auditor_(auditor), ports_(std::move(ports)) {}

// ---- from outside

void Agents::boot(MachineId machine) {
  Agent& agent = agents_.make(machine.value);
  agent.id = machine;
  agent.last_answer = core_.now;
  poke(agent);
}

void Agents::ended(MachineId machine) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent) return;
  forOpen(*agent, [this](Agent& part) { ended(part.id); });
  leaveProcess(*agent);
  if (busy(*agent)) auditor_.workEnds(agent->job, machine);
  agents_.erase(machine.value);
}

void Agents::directed(MachineId machine) {
  if (Agent* const agent = agents_.find(machine.value)) follow(*agent);
}

void Agents::answered(MachineId machine, bool known) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent || silent(machine)) return;
  agent->last_answer = core_.now;
  if (!known) {
    agent->orphaned = true;
    end(*agent);
    return poke(*agent);
  }
  agent->greeted = true;
  agent->acknowledged = agent->sent;
  follow(*agent);
  if (agent->ending || agent->changes != agent->acknowledged) poke(*agent);
}

void Agents::onTime(MachineId machine) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent || core_.now < agent->wake_at) return;
  agent->wake_at = Time::max();
  look(*agent);
}

void Agents::silence(MachineId machine, Time until) {
  if (Agent* const agent = agents_.find(machine.value)) agent->silent_until = until;
}

bool Agents::silent(MachineId machine) const {
  const Agent* const agent = agents_.find(machine.value);
  return !agent || core_.now < agent->silent_until || (agent->host && silent(agent->host));
}

// The process and what the agent knew are gone, what is on the disk is not.
void Agents::restart(MachineId machine) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent) return;
  leaveProcess(*agent);
  if (busy(*agent)) auditor_.workEnds(agent->job, machine);
  Agent fresh;
  fresh.id = agent->id;
  fresh.last_answer = core_.now;
  fresh.silent_until = agent->silent_until;
  fresh.begun_job = agent->begun_job;
  fresh.begun_epoch = agent->begun_epoch;
  fresh.notice = agent->notice;
  fresh.host = agent->host;
  fresh.open = agent->open;
  *agent = std::move(fresh);
  forOpen(*agent, [this](Agent& part) { restart(part.id); });  // with it, and started again
  poke(*agent);
}

void Agents::makeUnfit(MachineId machine) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent) return;
  forOpen(*agent, [this](Agent& part) { makeUnfit(part.id); });
  if (busy(*agent)) endWith(*agent, MemberResult::Kind::machine_lost, "its directory is gone");
  end(*agent);
  poke(*agent);
}

// ---- parts

template <class Do>
void Agents::forOpen(const Agent& agent, Do act) {
  for (const MachineId part : std::vector<MachineId>(agent.open)) {
    if (Agent* const found = agents_.find(part.value)) act(*found);
  }
}

void Agents::tendParts(Agent& agent) {
  const std::vector<Directive::Part>& wanted = agent.wanted->parts;
  const auto listed = [&](MachineId part) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const auto& each) { return each.machine == part; });
  };
  std::erase_if(agent.closed, [&](MachineId part) { return !listed(part); });
  forOpen(agent, [&](Agent& part) {
    if (!listed(part.id)) closePart(agent, part.id);
  });
  for (const Directive::Part& each : wanted) {
    using Close = Directive::Part::Close;
    Agent* const open = agents_.find(each.machine.value);
    const bool closed =
        std::find(agent.closed.begin(), agent.closed.end(), each.machine) != agent.closed.end();
    if (closed) continue;
    if (open && each.close == Close::when_done) {
      end(*open);
      poke(*open);
    } else if (open && each.close == Close::by_force) {
      closePart(agent, each.machine);
    } else if (!open && (each.close != Close::no || agent.ending)) {
      agent.closed.push_back(each.machine);
      ++agent.changes;
    } else if (!open) {
      boot(each.machine);
      agents_.find(each.machine.value)->host = agent.id;
      agents_.find(each.machine.value)->notice = agent.notice;
      agent.open.push_back(each.machine);
    }
  }
}

void Agents::closePart(Agent& agent, MachineId part) {
  ended(part);
  std::erase(agent.open, part);
  agent.closed.push_back(part);
  ++agent.changes;
  poke(agent);
}

// ---- directives

void Agents::follow(Agent& agent) {
  const Control::Told* const told = ports_.read(agent.id);
  if (!told || told->generation == agent.seen) return;
  agent.seen = told->generation;
  agent.wanted = told->directive;
  if (agent.wanted->kind != Directive::Kind::shutdown) tendParts(agent);
  reconcile(agent);
  poke(agent);
}

void Agents::reconcile(Agent& agent) {
  if (!agent.wanted || agent.ending) return;
  switch (agent.wanted->kind) {
    case Directive::Kind::idle:
      if (busy(agent)) endWith(agent, MemberResult::Kind::fenced, "given to another attempt");
      return;
    case Directive::Kind::run:
      return runJob(agent);
    case Directive::Kind::stop:
      return stopJob(agent);
    case Directive::Kind::shutdown:
      return end(agent);
  }
}

void Agents::runJob(Agent& agent) {
  const Directive& directive = *agent.wanted;
  if (directive.job == agent.ended_job && directive.epoch == agent.ended_epoch) return;
  if (busy(agent)) {
    if (agent.job == directive.job && agent.epoch == directive.epoch) {
      if (directive.save > agent.saves_asked) agent.next_save = core_.now;
      agent.saves_asked = directive.save;
      return;
    }
    return endWith(agent, MemberResult::Kind::fenced, "given to another attempt");  // and comes back here
  }
  begin(agent, directive);
  if (agent.notice && busy(agent)) finish(agent, {MemberResult::Kind::stopped, 0, ""});
}

void Agents::stopJob(Agent& agent) {
  const Directive& directive = *agent.wanted;
  if (directive.job == agent.ended_job && directive.epoch == agent.ended_epoch) return;
  if (!busy(agent)) {  // what never began is over at once
    begin(agent, directive);
    return finish(agent, {MemberResult::Kind::stopped, 0, ""});
  }
  if (agent.job != directive.job || agent.epoch != directive.epoch)
    return endWith(agent, MemberResult::Kind::fenced, "given to another attempt");
  stop(agent, directive.grace);
}

void Agents::noticed(MachineId machine, Time deadline) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent) return;
  agent->notice = deadline;
  ++agent->changes;
  forOpen(*agent, [&](Agent& part) { noticed(part.id, deadline); });
  if (busy(*agent)) {
    if (agent->stage != Stage::running && agent->stage != Stage::leaving) {
      stop(*agent, Duration{0});
    } else {
      const Duration left = std::max(deadline - core_.now, Duration{0});
      const Duration reserve = std::min(std::max(2 * agent->program->plan.save, kMinReserve), left * 3 / 10);
      terminate(*agent, deadline - reserve);
    }
  }
  poke(*agent);
}

void Agents::end(Agent& agent) {
  agent.ending = true;
  forOpen(agent, [this](Agent& part) {
    end(part);
    poke(part);
  });
  if (!agent.off_at && !busy(agent)) agent.off_at = core_.now + timing_.drain;
  if (busy(agent)) stop(agent, agent.grace);
}

// ---- time

void Agents::look(Agent& agent) {
  while (advance(agent)) {
  }
  const bool told = agent.acknowledged == agent.changes;
  if (agent.off_at && agent.open.empty() && (core_.now >= *agent.off_at || agent.orphaned || told)) {
    if (Agent* const host = agents_.find(agent.host.value)) return closePart(*host, agent.id);
    return ports_.switch_off(agent.id);  // it is erased
  }
  // What was not sent yet; what was lost on its way goes with the next beat.
  const bool beat = timing_.heartbeat > Duration{0} && core_.now >= agent.next_beat;
  if (beat || agent.changes != agent.sent || !agent.greeted) report(agent);
  plan(agent);
}

bool Agents::advance(Agent& agent) {
  const Stage before = agent.stage;
  const Time end = agent.stage_end;
  const bool opened = agent.opened;
  const bool orphaned = timing_.heartbeat > Duration{0} && !agent.ending &&
                        core_.now >= agent.last_answer + timing_.orphan_after * 11 / 10;
  if (orphaned) {
    agent.orphaned = true;
    auditor_.deserted(agent.job, agent.epoch, agent.id);
    ports_.send(agent.id, engine::LeaseRenewed{agent.id});  // once more, before it gives up
    this->end(agent);
    return true;
  }
  switch (agent.stage) {
    case Stage::none:
    case Stage::done:
      return false;
    case Stage::preparing:
      if (core_.now < agent.stage_end) return false;
      if (!agent.opened) {
        open(agent);
      } else {
        agent.stage = Stage::restoring;
        const bool restores = agent.writer.base().has_value();
        if (agent.program->plan.save_every > Duration{0}) enter(agent, MemberPhase::restoring);
        agent.stage_end = core_.now + (restores ? agent.program->plan.restore : Duration{0});
      }
      break;
    case Stage::restoring:
      if (core_.now < agent.stage_end) return false;
      startProcess(agent);
      break;
    case Stage::running:
      runs(agent);
      break;
    case Stage::leaving:
      if (core_.now < std::min(agent.stage_end, agent.kill_at)) return false;
      agent.save_wanted = agent.stage_end <= agent.kill_at;
      auditor_.processEnds(agent.job, agent.rank, agent.id);
      processEnded(agent);
      break;
    case Stage::saving:
      if (core_.now < agent.stage_end) return false;
      finalSave(agent);
      break;
  }
  return agent.stage != before || agent.stage_end != end || agent.opened != opened;
}

Time Agents::nextLook(const Agent& agent) const {
  Time next = Time::max();
  const auto consider = [&](Time at) { next = std::min(next, std::max(at, core_.now + Duration{1})); };
  if (timing_.heartbeat > Duration{0}) {
    consider(agent.next_beat);
    if (!agent.ending) consider(agent.last_answer + timing_.orphan_after * 11 / 10);
  }
  if (agent.off_at && agent.open.empty()) consider(*agent.off_at);
  switch (agent.stage) {
    case Stage::none:
    case Stage::done:
      break;
    case Stage::preparing:
    case Stage::restoring:
    case Stage::saving:
      consider(agent.stage_end);
      break;
    case Stage::leaving:
      consider(std::min(agent.stage_end, agent.kill_at));
      break;
    case Stage::running: {
      const Program::Run& run = *agent.program->find(agent.epoch);
      if (const auto end = agent.program->endOf(run)) consider(*end);
      if (agent.breaks_at) consider(*agent.breaks_at);
      if (commits(agent)) consider(agent.save_ends.value_or(agent.next_save));
      break;
    }
  }
  return next;
}

void Agents::plan(Agent& agent) {
  const Time at = nextLook(agent);
  if (at == agent.wake_at || at == Time::max()) return;
  agent.wake_at = at;
  core_.queue.push(at, What::agent, agent.id.value);
}

void Agents::poke(Agent& agent) {
  if (agent.wake_at == core_.now) return;
  agent.wake_at = core_.now;
  core_.queue.push(core_.now, What::agent, agent.id.value);
}

void Agents::pokeRun(const Agent& agent) {
  const Program::Run* const run = agent.program->find(agent.epoch);
  if (!run) return;
  for (const MachineId member : run->members) {
    if (member == agent.id) continue;
    if (Agent* const peer = agents_.find(member.value)) poke(*peer);
  }
}

void Agents::report(Agent& agent) {
  if (timing_.heartbeat > Duration{0}) agent.next_beat = core_.now + timing_.heartbeat;
  agent.sent = agent.changes;
  if (!agent.greeted) return ports_.send(agent.id, engine::AgentConnected{agent.id, "agent"});
  if (agent.notice) ports_.send(agent.id, engine::NoticeReceived{agent.id, *agent.notice});
  for (const MachineId part : agent.closed) ports_.send(agent.id, engine::PartClosed{agent.id, part});
  if (!agent.job) {
    return ports_.send(agent.id, engine::LeaseRenewed{agent.id});
  }
  ports_.send(agent.id, engine::AgentReport{agent.id, agent.job, agent.epoch, agent.phases, agent.version,
                                            agent.covers, agent.result});
}

}  // namespace buoy::sim
