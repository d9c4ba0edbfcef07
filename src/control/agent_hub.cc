#include "control/agent_hub.h"

#include <algorithm>

namespace buoy::control {
namespace {

void answer(net::Responder& responder, const api::DirectiveMessage& message) {
  responder.send({.body = api::toJson(message)});
}

}  // namespace

AgentHub::AgentHub(const Clock& clock) : clock_(clock) {}

std::uint64_t AgentHub::nextGeneration(State& state) const {
  const auto now = static_cast<std::uint64_t>(clock_.now().time_since_epoch().count());
  state.last_generation = std::max(state.last_generation + 1, now);
  return state.last_generation;
}

void AgentHub::direct(MachineId machine, api::DirectiveMessage message) {
  std::vector<Poll> woken;
  {
    auto state = state_.lock();
    Entry& entry = state->machines[machine];
    if (entry.message.generation != 0 && entry.message.directive == message.directive &&
        entry.message.spec == message.spec) {
      return;
    }
    message.generation = nextGeneration(*state);
    if (message.directive.job) entry.last_work = message.directive;
    entry.message = message;
    woken.swap(entry.polls);
    for (const Poll& poll : woken) state->polls_by_id.erase(poll.id);
  }
  for (const Poll& poll : woken) answer(*poll.responder, message);
}

void AgentHub::forget(MachineId machine) {
  std::vector<Poll> woken;
  api::DirectiveMessage message;
  {
    auto state = state_.lock();
    const auto found = state->machines.find(machine);
    if (found == state->machines.end()) return;
    woken.swap(found->second.polls);
    for (const Poll& poll : woken) state->polls_by_id.erase(poll.id);
    state->machines.erase(found);
    message.generation = nextGeneration(*state);
    message.directive.kind = engine::Directive::Kind::shutdown;
  }
  for (const Poll& poll : woken) answer(*poll.responder, message);
}

bool AgentHub::knows(MachineId machine) {
  return generation(machine) != 0;
}

bool AgentHub::says(MachineId machine, const engine::Directive& directive) {
  auto state = state_.lock();
  const auto found = state->machines.find(machine);
  return found != state->machines.end() && found->second.message.generation != 0 &&
         found->second.message.directive == directive;
}

std::optional<api::DirectiveMessage> AgentHub::current(MachineId machine) {
  auto state = state_.lock();
  const auto found = state->machines.find(machine);
  if (found == state->machines.end() || found->second.message.generation == 0) return std::nullopt;
  return found->second.message;
}

std::optional<engine::Directive> AgentHub::lastWork(MachineId machine) {
  auto state = state_.lock();
  const auto found = state->machines.find(machine);
  if (found == state->machines.end()) return std::nullopt;
  return found->second.last_work;
}

std::uint64_t AgentHub::generation(MachineId machine) {
  auto state = state_.lock();
  const auto found = state->machines.find(machine);
  return found == state->machines.end() ? 0 : found->second.message.generation;
}

void AgentHub::poll(MachineId machine, std::uint64_t seen, Time deadline,
                    std::shared_ptr<net::Responder> responder) {
  api::DirectiveMessage message;
  {
    auto state = state_.lock();
    Entry& entry = state->machines[machine];
    // `seen` from the future is from a state that is lost: say what is so now.
    const std::uint64_t generation = entry.message.generation;
    if (generation == 0 || generation == seen) {
      const std::uint64_t id = state->next_poll++;
      entry.polls.push_back({id, seen, deadline, std::move(responder)});
      state->polls_by_id.emplace(id, machine);
      state->deadlines.emplace(deadline, id);
      return;
    }
    message = entry.message;
  }
  answer(*responder, message);
}

std::optional<Time> AgentHub::expire() {
  std::vector<std::shared_ptr<net::Responder>> expired;
  std::optional<Time> next;
  {
    auto state = state_.lock();
    const Time now = clock_.now();
    while (!state->deadlines.empty()) {
      const auto [deadline, id] = *state->deadlines.begin();
      const auto owner = state->polls_by_id.find(id);
      if (owner != state->polls_by_id.end() && deadline > now) {
        next = deadline;
        break;
      }
      state->deadlines.erase(state->deadlines.begin());
      if (owner == state->polls_by_id.end()) continue;
      auto& polls = state->machines[owner->second].polls;
      const auto poll =
          std::find_if(polls.begin(), polls.end(), [id = id](const Poll& p) { return p.id == id; });
      if (poll != polls.end()) {
        expired.push_back(std::move(poll->responder));
        polls.erase(poll);
      }
      state->polls_by_id.erase(owner);
    }
  }
  for (const auto& responder : expired) responder->send({.status = 204, .body = {}});
  return next;
}

}  // namespace buoy::control
