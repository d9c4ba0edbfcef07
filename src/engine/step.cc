#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// The two entries of the engine, the end of every step, and what holds at any time: the directive of a
// machine.
namespace buoy::engine {

void Stepper::handle(const Event& event) {
  if (s_.stale) s_.rebuild();
  out_.reply = Reply{};
  std::visit([this](const auto& each) { on(each); }, event);
  settle();
}

void Stepper::refuse(ErrorCode code, std::string message) {
  out_.reply.accepted = false;
  out_.reply.code = code;
  out_.reply.message = std::move(message);
}

// Follows every consequence of what the step did: attempts begin and end, machines find new work or are
// released.
void Stepper::settle() {
  while (!s_.ended.empty() || !s_.pending.empty() || !s_.asked.empty() || !s_.woken.empty() ||
         !s_.open.empty()) {
    // What has ended may let others begin: they are in the queue before its machine is given away.
    while (!s_.pending.empty() || !s_.ended.empty()) {
      for (std::size_t i = 0; i < s_.pending.size(); ++i) {
        JobSlot& slot = *s_.findJob(s_.pending[i]);
        slot.pending = false;
        proceed(slot);
      }
      s_.pending.clear();
      for (std::size_t i = 0; i < s_.ended.size(); ++i) release(s_.findJob(s_.ended[i])->job);
      s_.ended.clear();
    }
    for (std::size_t i = 0; i < s_.asked.size(); ++i) {
      JobSlot& slot = *s_.findJob(s_.asked[i]);
      slot.asked = false;
      steer(slot);
    }
    s_.asked.clear();
    schedule();
  }
  for (const MachineId id : s_.freed) {
    MachineSlot& slot = *s_.findMachine(id);
    const bool unused = slot.machine.phase == MachinePhase::idle && slot.machine.holder.empty();
    if (unused && idleTimeout(slot.machine) <= Duration{0} && !isLeast(slot.machine))
      release(slot, "nobody needs it");
  }
  s_.freed.clear();
  for (const MachineId id : s_.redirected) {
    MachineSlot& slot = *s_.findMachine(id);
    slot.redirected = false;
    out_.actions.push_back(DirectAgent{id, directiveOf(s_, &slot)});
  }
  s_.redirected.clear();
  for (const JobId id : s_.touched_jobs) {
    JobSlot& slot = *s_.findJob(id);
    slot.touched = false;
    account(slot);
    if (const auto at = jobDeadline(slot)) {
      s_.timers.set(slot.timer, *at);
    } else {
      s_.timers.remove(slot.timer);
    }
  }
  s_.touched_jobs.clear();
  for (const MachineId id : s_.touched_machines) {
    MachineSlot& slot = *s_.findMachine(id);
    slot.touched = false;
    if (const auto at = machineDeadline(slot.machine, slot.next_query)) {
      s_.timers.set(slot.timer, *at);
    } else {
      s_.timers.remove(slot.timer);
    }
  }
  s_.touched_machines.clear();
}

// ---- time

void Stepper::on(const Tick&) {
  runTimers();
}

void Stepper::runTimers() {
  while (const Timer* const timer = s_.timers.earliest()) {
    if (timer->at > now_) return;
    // Set again at the end of the step, or here: whatever happens, not in the past, so that the loop ends.
    const auto reset = [this](Timer& own, std::optional<Time> at) {
      if (at) {
        s_.timers.set(own, std::max(*at, now_ + Duration{1}));
      } else {
        s_.timers.remove(own);
      }
    };
    switch (timer->kind) {
      case TimerKind::pool: {
        PoolSlot& pool = *s_.pools_by_number[timer->id];
        s_.wake(pool);
        std::optional<Time> next;
        for (const Time at : {pool.pool.retry_at, pool.pool.spot_retry_at}) {
          if (at > now_ && (!next || at < *next)) next = at;
        }
        reset(pool.timer, next);
        break;
      }
      case TimerKind::machine: {
        MachineSlot& slot = *s_.findMachine(MachineId{timer->id});
        machineTimer(slot);
        reset(slot.timer, machineDeadline(slot.machine, slot.next_query));
        break;
      }
      case TimerKind::job: {
        JobSlot& slot = *s_.findJob(JobId{timer->id});
        jobTimer(slot);
        reset(slot.timer, jobDeadline(slot));
        break;
      }
    }
  }
}

// ---- after a restart

void Stepper::resume() {
  s_.rebuild();
  s_.resumed_at = now_;
  s_.machines.forEach([this](std::uint64_t, MachineSlot& slot) {
    Machine& machine = slot.machine;
    const MachineId id = machine.id;
    switch (machine.phase) {
      case MachinePhase::requested:
        if (!machine.host) out_.actions.push_back(LaunchMachine{id});
        break;
      case MachinePhase::idle:
      case MachinePhase::assigned:
        machine.lease_until = now_ + settings_.lease;
        if (machine.unreachable) touch(slot);
        machine.unreachable = false;
        redirect(slot);
        [[fallthrough]];
      case MachinePhase::booting:
        if (!machine.host) out_.actions.push_back(QueryMachine{id});
        break;
      case MachinePhase::releasing:
        slot.next_query = now_ + settings_.query_every;
        terminate(slot);
        break;
      case MachinePhase::gone:
        break;
    }
  });
  s_.jobs.forEach([this](std::uint64_t, JobSlot& slot) {
    if (slot.job.current && slot.job.current->verify_until != Time{}) {
      slot.job.current->verify_until = now_ + settings_.verify_timeout;
      askPeers(slot);
    }
  });
  settle();
}

void step(State& state, const Event& event, Time now, const Settings& settings, const PlacementPolicy& policy,
          Outcome& out) {
  Stepper(state.impl(), now, settings, policy, out).handle(event);
}

void resume(State& state, Time now, const Settings& settings, const PlacementPolicy& policy, Outcome& out) {
  Stepper(state.impl(), now, settings, policy, out).resume();
}

// ---- directives

Directive directiveOf(const State::Impl& state, const MachineSlot* slot) {
  Directive directive;
  if (!slot || slot->machine.phase == MachinePhase::releasing || slot->machine.phase == MachinePhase::gone) {
    directive.kind = Directive::Kind::shutdown;
    return directive;
  }
  const Machine& machine = slot->machine;
  for (const MachineId id : slot->parts) {
    const Machine& part = state.findMachine(id)->machine;
    using Close = Directive::Part::Close;
    const bool closes = part.phase == MachinePhase::releasing;
    directive.parts.push_back({.machine = id,
                               .resources = part.part,
                               .devices = part.devices,
                               .close = !closes    ? Close::no
                                        : part.job ? Close::by_force
                                                   : Close::when_done});
  }
  const JobSlot* const owner = state.findJob(machine.job);
  if (!owner) return directive;
  const Job& job = owner->job;
  const auto rank = static_cast<std::size_t>(machine.rank);
  if (!job.current || !job.current->directed || rank >= job.current->members.size()) return directive;
  const Attempt& attempt = *job.current;
  const Member& member = attempt.members[rank];
  if (member.machine != machine.id || member.phase == MemberPhase::done) return directive;
  directive.job = job.id;
  directive.attempt = attempt.number;
  directive.epoch = attempt.epoch;
  directive.rank = machine.rank;
  directive.stop = member.stop;
  directive.grace = job.request.stop_grace;
  directive.save = job.save_requests;
  directive.array = job.parent;
  directive.index = job.index;
  if (member.stop == StopReason::none) {
    directive.kind = Directive::Kind::run;
  } else {
    directive.kind = Directive::Kind::stop;
    if (member.stop == StopReason::notice && machine.notice_deadline) {
      directive.grace = std::max(Duration{0}, *machine.notice_deadline - member.stop_since);
    }
  }
  directive.peers.reserve(attempt.members.size());
  for (const Member& peer : attempt.members) {
    const MachineSlot* const at = state.findMachine(peer.machine);
    directive.peers.push_back(at ? at->machine.address : std::string());
  }
  return directive;
}

Directive directiveFor(const State& state, MachineId machine) {
  return directiveOf(state.impl(), state.impl().findMachine(machine));
}

}  // namespace buoy::engine
