#include <algorithm>

#include "base/strings.h"
#include "sim/agents.h"

// What an agent does for a job, from the directive it took to the result.
namespace buoy::sim {

using engine::Directive;
using engine::MemberPhase;
using engine::MemberResult;

namespace {

constexpr Duration kBreaksAfter = std::chrono::seconds{2};  // a process whose peer has gone

}  // namespace

// ---- an assignment

bool Agents::commits(const Agent& agent) const {
  return agent.rank == 0 && agent.program->plan.save_every > Duration{0};
}

void Agents::begin(Agent& agent, const Directive& directive) {
  agent.job = directive.job;
  agent.epoch = directive.epoch;
  agent.rank = directive.rank;
  agent.grace = directive.grace;
  agent.saves_asked = directive.save;
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
  const bool main = agent.rank == 0 || !program.main_decides;
  if (run.finished && (main || program.plan.others == JobPlan::Others::exit)) return exitBySelf(agent, 0);
  if (run.finished && program.plan.others == JobPlan::Others::fail) return exitBySelf(agent, 3);
  if (const auto end = program.endOf(run); end && core_.now >= *end && main && !run.finished) {
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

}  // namespace buoy::sim
