#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "sim/core.h"
#include "sim/persistence.h"

namespace buoy::sim {

// Where the control plane is when it dies.
enum class CrashPoint : std::uint8_t {
  idle,            // between two batches
  before_commit,   // nothing of the batch is kept
  after_commit,    // all is kept, nothing was done
  amid_actions,    // some was done
  before_replies,  // all was done, nobody was answered
};

// The control plane around the engine, as src/control does it: what has arrived is stepped in one batch, made
// durable, and only then acted on and answered. It keeps nothing of its own: after a crash all it knows is
// what Persistence kept.
class Control {
 public:
  struct Ports {
    std::function<void(const engine::Action& action, const engine::State& state)> act;  // for the provider
    std::function<void(MachineId machine)> directed;              // another directive holds for it: current()
    std::function<void(MachineId machine, bool known)> answered;  // its agent's message was dealt with
    // What a client asked for is durable; it is answered, which a crash may prevent.
    std::function<void(std::uint32_t request, const engine::Reply&reply)> done, replied;
    std::function<void(const engine::State& state)> restarted;  // it is up again: orphans are looked for
    // A step was made, nullptr: resume(). Before it is durable.
    std::function<void(const engine::Event* event)> stepped;
    // A batch is durable.
    std::function<void(const engine::State& state, const engine::Changes& changes)> committed;
    std::function<void(Duration away)> crashed;
  };
  struct Options {
    engine::Settings settings;
    const engine::PlacementPolicy* policy = nullptr;
    Duration commit{1'000};  // from the first event of a batch to its being durable
    bool fast = false;       // look only at directives that the engine says have changed
  };
  static constexpr std::uint32_t kNoRequest = 0;

  Control(Core& core, Options options, Persistence& persistence, Ports ports);

  bool up() const { return up_; }
  const engine::State& state() const { return state_; }
  std::uint64_t steps() const { return steps_; }

  // An event has arrived; lost if it is down. `request`: of a client, who asks again with the same number
  // until it is answered; what was asked before is not done again.
  void receive(engine::Event event, std::uint32_t request = kNoRequest);
  // An agent's: false if the machine is unknown, which the agent is told.
  bool receiveFrom(MachineId machine, engine::Event&& event);
  struct Told {
    engine::Directive directive;
    std::uint64_t generation = 0;
  };
  // What the agent of this machine should be doing; null: the machine is unknown.
  const Told* current(MachineId machine) const { return hub_.find(machine.value); }

  // Dies at the next batch's `point` (idle: now) and is away for so long.
  void crash(CrashPoint point, Duration away);
  void onCommit();
  void onTick();
  void onRestart();

 private:
  struct Letter {
    Letter(engine::Event&& the_event, MachineId machine, std::uint32_t number)
        : event(std::move(the_event)), from(machine), request(number) {}
    engine::Event event;
    MachineId from;
    std::uint32_t request;
    engine::Reply reply;  // to a request
  };
  void push(engine::Event&& event, MachineId from, std::uint32_t request);
  void step(Letter& letter);
  void finishBatch();
  bool dies(CrashPoint point);
  void die();
  void carryOut();
  void direct(MachineId machine);
  void planTick();

  Core& core_;
  const Options options_;
  Persistence& persistence_;
  Ports ports_;
  engine::State state_;
  engine::Outcome out_;
  IdTable<Told> hub_;
  std::uint64_t generation_ = 0;
  std::vector<Letter> inbox_, batch_;
  bool commit_planned_ = false;
  bool up_ = true;
  std::uint64_t life_ = 0;  // what was planned by an earlier one is void
  std::optional<CrashPoint> doomed_at_;
  Duration away_{};
  Time next_tick_ = Time::max();
  std::uint64_t steps_ = 0;
  std::map<std::uint32_t, engine::Reply> done_requests_;  // durable, as the store's documents are
};

}  // namespace buoy::sim
