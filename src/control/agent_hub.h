#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/agent_protocol.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/synchronized.h"
#include "net/http.h"

namespace buoy::control {

// What every agent should be doing now, and the long polls of the agents that wait to hear of a change.
// Threads: any.
//
// A generation is the instant of the change in microseconds (or one more than the last), so it also grows
// over restarts of the control plane: an agent's `seen` from before a restart is never newer than what it is
// told after it.
class AgentHub {
 public:
  explicit AgentHub(const Clock& clock);

  // From the writer thread, after the state that the directive comes from is durable. The same directive
  // again keeps the generation, and nobody is woken.
  void direct(MachineId machine, api::DirectiveMessage message);  // generation: given here
  // The machine is gone: its polls are answered with shutdown, and it is forgotten.
  void forget(MachineId machine);

  bool knows(MachineId machine);                                     // it was told something and is not gone
  bool says(MachineId machine, const engine::Directive& directive);  // that is what it is told now
  // nullopt: nothing is known of this machine (yet).
  std::optional<api::DirectiveMessage> current(MachineId machine);
  // The last run or stop that the machine was told; none since this control plane started: nullopt. What it
  // still ships after the end of its work (its log) belongs to this.
  std::optional<engine::Directive> lastWork(MachineId machine);
  std::uint64_t generation(MachineId machine);  // 0: unknown

  // Answers at once if there is something newer than `seen`, else when there is, else with 204 at `deadline`.
  void poll(MachineId machine, std::uint64_t seen, Time deadline, std::shared_ptr<net::Responder> responder);
  // Answers the polls whose deadline has passed; returns the next deadline.
  std::optional<Time> expire();

 private:
  struct Poll {
    std::uint64_t id = 0;
    std::uint64_t seen = 0;
    Time deadline{};
    std::shared_ptr<net::Responder> responder;
  };
  struct Entry {
    api::DirectiveMessage message;
    std::optional<engine::Directive> last_work;
    std::vector<Poll> polls;
  };
  struct State {
    std::map<MachineId, Entry> machines;
    std::map<std::uint64_t, MachineId> polls_by_id;
    std::multimap<Time, std::uint64_t> deadlines;
    std::uint64_t next_poll = 1;
    std::uint64_t last_generation = 0;
  };
  std::uint64_t nextGeneration(State& state) const;

  const Clock& clock_;
  Synchronized<State> state_;
};

}  // namespace buoy::control
