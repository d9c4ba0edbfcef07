#include "sim/agents.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::sim {

using engine::Directive;
using engine::MemberPhase;
using engine::MemberResult;

namespace {

constexpr Duration kBreaksAfter = std::chrono::seconds{2};  // a process whose peer has gone
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
  return !agent || core_.now < agent->silent_until;
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
  *agent = std::move(fresh);
  poke(*agent);
}

void Agents::makeUnfit(MachineId machine) {
  Agent* const agent = agents_.find(machine.value);
  if (!agent) return;
  if (busy(*agent)) endWith(*agent, MemberResult::Kind::machine_lost, "its directory is gone");
  end(*agent);
  poke(*agent);
}

// ---- directives

void Agents::follow(Agent& agent) {
  const Control::Told* const told = ports_.read(agent.id);
  if (!told || told->generation == agent.seen) return;
  agent.seen = told->generation;
  agent.wanted = told->directive;
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
    if (agent.job == directive.job && agent.epoch == directive.epoch) return;
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
  if (!agent.off_at && !busy(agent)) agent.off_at = core_.now + timing_.drain;
  if (busy(agent)) stop(agent, agent.grace);
}

// ---- an assignment

bool Agents::commits(const Agent& agent) const {
  return agent.rank == 0 && agent.program->plan.save_every > Duration{0};
}

void Agents::begin(Agent& agent, const Directive& directive) {
  agent.job = directive.job;
  agent.epoch = directive.epoch;
  agent.rank = directive.rank;
  agent.grace = directive.grace;
  agent.program = ports_.program(directive.job);
  agent.phases.clear();
  agent.version = 0;
  agent.result.reset();
  agent.writer = CheckpointWriter(directive.epoch);
  agent.opened = agent.stopping = agent.was_whole = agent.save_wanted = false;
  agent.exit_code = 0;
  agent.breaks_at.reset();
  agent.save_ends.reset();
  agent.saved_done = Duration{-1};
  agent.stage = Stage::preparing;
  auditor_.workBegins(agent.job, agent.rank, agent.epoch, agent.id);
  core_.say([&] {
    return strCat({agent.id.toString(), " begins ", agent.job.toString(), " epoch ",
                   std::to_string(agent.epoch), " rank ", std::to_string(agent.rank)});
  });
  if (directive.kind != Directive::Kind::run) return;
  if (directive.job == agent.begun_job && directive.epoch == agent.begun_epoch)
    return finish(agent, {MemberResult::Kind::machine_lost, 0, "the agent was started anew"});
  agent.begun_job = directive.job;
  agent.begun_epoch = directive.epoch;
  enter(agent, MemberPhase::preparing);
  agent.give_up = core_.now + timing_.setup_patience;
  agent.stage_end = core_.now;
}

void Agents::enter(Agent& agent, MemberPhase phase) {
  agent.phases.push_back({phase, core_.now});
  ++agent.changes;
}

// First of all the fence: from here on the attempt before this one can commit nothing.
void Agents::open(Agent& agent) {
  if (agent.program->plan.save_every == Duration{0}) {
    agent.opened = true;
    agent.stage_end = core_.now + agent.program->plan.prepare;
    return;
  }
  if (!core_.storeAnswers()) {
    if (core_.now >= agent.give_up)
      return finish(agent, {MemberResult::Kind::machine_lost, 0, "the store does not answer"});
    agent.stage_end = core_.now + timing_.store_retry;
    return;
  }
  if (agent.writer.open(agent.program->log) == CheckpointWriter::Answer::fenced)
    return finish(agent, {MemberResult::Kind::fenced, 0, "a later attempt has begun"});
  auditor_.fenced(agent.job, agent.epoch);
  agent.opened = true;
  agent.stage_end = core_.now + agent.program->plan.prepare;
}

void Agents::startProcess(Agent& agent) {
  Program& program = *agent.program;
  Duration done{};
  if (program.plan.save_every > Duration{0}) {
    // The log may have been read long ago; what is restored is still the newest before this epoch's fence.
    if (!core_.storeAnswers()) {
      agent.stage_end = core_.now + timing_.store_retry;
      return;
    }
    auditor_.restored(agent.job, agent.epoch, agent.writer.base());
    if (agent.writer.base()) done = agent.writer.base()->done;
  }
  agent.stage = Stage::running;
  enter(agent, MemberPhase::running);
  auditor_.processBegins(agent.job, agent.rank, agent.epoch, agent.id);
  program.enter(agent.epoch, agent.id, agent.rank == 0 ? std::optional(done) : std::nullopt, core_.now);
  agent.saved_done = done;
  agent.next_save = core_.now + program.plan.save_every;
  pokeRun(agent);
}

void Agents::leaveProcess(Agent& agent) {
  if (agent.stage != Stage::running && agent.stage != Stage::leaving) return;
  Program::Run* const run = agent.program->find(agent.epoch);
  if (agent.stage == Stage::running && run) {
    agent.program->leave(agent.epoch, agent.id, core_.now);
    pokeRun(agent);
  }
  auditor_.processEnds(agent.job, agent.rank, agent.id);
}

// While the process runs: does it end by itself, is it time to save?
void Agents::runs(Agent& agent) {
  Program& program = *agent.program;
  Program::Run& run = *program.find(agent.epoch);
  if (run.whole) agent.was_whole = true;
  if (run.whole && program.done(run, core_.now) >= program.plan.work) {
    run.finished = program.completed = true;
    pokeRun(agent);
  }
  if (run.finished) return exitBySelf(agent, 0);
  if (const auto end = program.endOf(run); end && core_.now >= *end) {
    --program.failures_left;
    return exitBySelf(agent, 1);
  }
  if (agent.was_whole && !run.whole && program.plan.breaks_with_peer) {
    if (!agent.breaks_at) agent.breaks_at = core_.now + kBreaksAfter;
    if (core_.now >= *agent.breaks_at) return exitBySelf(agent, 1);
  }
  if (commits(agent)) periodicSave(agent);
}

void Agents::periodicSave(Agent& agent) {
  Program& program = *agent.program;
  if (agent.save_ends && core_.now >= *agent.save_ends) {
    if (!core_.storeAnswers()) {
      agent.save_ends = core_.now + timing_.store_retry;
      return;
    }
    agent.save_ends.reset();
    if (commit(agent, agent.save_done, agent.save_covers) == CheckpointWriter::Answer::fenced)
      return endWith(agent, MemberResult::Kind::fenced, "a later attempt has begun");
    agent.next_save = std::max(core_.now, agent.save_covers + program.plan.save_every);
  }
  if (agent.save_ends || core_.now < agent.next_save) return;
  agent.save_done = program.done(*program.find(agent.epoch), core_.now);
  if (agent.save_done == agent.saved_done) {
    agent.next_save = core_.now + program.plan.save_every;
    return;
  }
  agent.save_covers = core_.now;
  agent.save_ends = core_.now + program.plan.save;
}

CheckpointWriter::Answer Agents::commit(Agent& agent, Duration done, Time covers) {
  if (agent.writer.commit(agent.program->log, done) == CheckpointWriter::Answer::fenced)
    return CheckpointWriter::Answer::fenced;
  agent.saved_done = done;
  agent.version = agent.writer.last();
  agent.covers = covers;
  ++agent.changes;
  auditor_.versionCommitted(agent.job, agent.epoch, agent.version, done);
  agent.program->log.retain();
  return CheckpointWriter::Answer::done;
}

// ---- its end

void Agents::exitBySelf(Agent& agent, std::int32_t code) {
  agent.exit_code = code;
  agent.save_done = agent.program->done(*agent.program->find(agent.epoch), core_.now);
  agent.save_covers = core_.now;
  agent.save_wanted = true;
  enter(agent, MemberPhase::saving);
  leaveProcess(agent);
  processEnded(agent);
}

void Agents::stop(Agent& agent, Duration grace) {
  if (agent.stage == Stage::preparing || agent.stage == Stage::restoring)
    return finish(agent, {MemberResult::Kind::stopped, 0, ""});
  if (agent.stage == Stage::running || agent.stage == Stage::leaving) terminate(agent, core_.now + grace);
}

// The signal: the process writes what it has and leaves, unless it is killed before.
void Agents::terminate(Agent& agent, Time kill_at) {
  if (agent.stage == Stage::running) {
    agent.stopping = true;
    agent.save_ends.reset();
    agent.save_done = agent.program->done(*agent.program->find(agent.epoch), core_.now);
    agent.save_covers = core_.now;
    enter(agent, MemberPhase::saving);
    agent.program->leave(agent.epoch, agent.id, core_.now);
    pokeRun(agent);
    agent.stage = Stage::leaving;
    agent.kill_at = Time::max();
    agent.stage_end = core_.now + agent.program->plan.leave;
  }
  agent.kill_at = std::min(agent.kill_at, std::max(kill_at, core_.now));
}

void Agents::processEnded(Agent& agent) {
  agent.stage = Stage::saving;
  if (!commits(agent) || !agent.save_wanted || agent.save_done == agent.saved_done) return finalSave(agent);
  agent.stage_end = core_.now + agent.program->plan.save;
  agent.give_up = agent.stage_end + timing_.final_patience;
}

void Agents::finalSave(Agent& agent) {
  if (commits(agent) && agent.save_wanted && agent.save_done != agent.saved_done) {
    if (!core_.storeAnswers() && core_.now < agent.give_up) {
      agent.stage_end = core_.now + timing_.store_retry;
      return;
    }
    if (core_.storeAnswers() &&
        commit(agent, agent.save_done, agent.save_covers) == CheckpointWriter::Answer::fenced) {
      return finish(agent, {MemberResult::Kind::fenced, 0, "a later attempt has begun"});
    }
  }
  finish(agent,
         {agent.stopping ? MemberResult::Kind::stopped : MemberResult::Kind::exited, agent.exit_code, ""});
}

// Known before its end: nothing is saved, what runs is killed.
void Agents::endWith(Agent& agent, MemberResult::Kind kind, const char* why) {
  leaveProcess(agent);
  finish(agent, {kind, 0, why});
}

void Agents::finish(Agent& agent, MemberResult result) {
  core_.say([&] {
    return strCat({agent.id.toString(), " ends ", agent.job.toString(), " epoch ",
                   std::to_string(agent.epoch), ": ", engine::toString(result.kind), " ",
                   std::to_string(result.exit_code)});
  });
  agent.stage = Stage::done;
  agent.result = std::move(result);
  enter(agent, MemberPhase::done);
  auditor_.workEnds(agent.job, agent.id);
  agent.ended_job = agent.job;
  agent.ended_epoch = agent.epoch;
  if (agent.ending && !agent.off_at) agent.off_at = core_.now + timing_.drain;
  reconcile(agent);
}

// ---- time

void Agents::look(Agent& agent) {
  while (advance(agent)) {
  }
  const bool told = agent.acknowledged == agent.changes;
  if (agent.off_at && (core_.now >= *agent.off_at || agent.orphaned || told)) {
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
    case Stage::running: {
      const std::uint64_t changes = agent.changes;
      runs(agent);
      return agent.stage != before || agent.changes != changes;
    }
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
  if (agent.off_at) consider(*agent.off_at);
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
  if (!agent.job) {
    return ports_.send(agent.id, engine::LeaseRenewed{agent.id});
  }
  ports_.send(agent.id, engine::AgentReport{agent.id, agent.job, agent.epoch, agent.phases, agent.version,
                                            agent.covers, agent.result});
}

}  // namespace buoy::sim
