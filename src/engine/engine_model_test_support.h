#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "engine/engine_test_support.h"

// A model of everything around the engine: the store, the cloud, the agents and the network between them,
// driven by a list of choices, so that a failing run is a short list that a property test can shrink.
namespace buoy::engine::testing {

// Numbers decided beforehand; when they are used up, the world calms down.
class Choices {
 public:
  explicit Choices(std::vector<std::uint32_t> values) : values_(std::move(values)) {}
  bool over() const { return next_ >= values_.size(); }
  // 0 … below-1; 0 when used up.
  std::uint32_t pick(std::uint32_t below) { return over() ? 0 : values_[next_++] % below; }
  bool oneIn(std::uint32_t n) { return !over() && pick(n) == 0; }

 private:
  std::vector<std::uint32_t> values_;
  std::size_t next_ = 0;
};

class Model {
 public:
  explicit Model(std::vector<std::uint32_t> choices);

  // Random submits, faults and deliveries until the choices are used up.
  void chaos();
  // Everything works from now on: delivers all and lets time pass until nothing happens. False: it goes on
  // for ever.
  bool calmDown();

  // What is wrong, as sentences; empty: nothing.
  const std::vector<std::string>& problems() const { return problems_; }
  void checkTheEnd();  // every job finished once, no machine left, the ledger adds up
  std::size_t submitted() const { return submitted_.size(); }
  std::size_t crashes() const { return crashes_; }
  // Called after every step and commit, to watch a failing run.
  std::function<void(const Event*, Time, const Outcome&)> observe;

 private:
  // A machine at the provider and the agent on it.
  struct Instance {
    bool alive = false;
    bool ever = false;
    bool connected = false;
    std::optional<Time> reclaim_at;
    GoneReason reason = GoneReason::vanished;
    Directive hub;  // the newest directive at the control plane's side
    JobId job;      // what it works on
    Epoch epoch = 0;
    std::int32_t rank = 0;
    std::vector<AgentReport::PhaseChange> phases;
    std::uint64_t committed = 0;
    Time covers{};
    std::optional<MemberResult> result;
    MemberPhase phase = MemberPhase::assigned;
  };

  void problem(std::string text) { problems_.push_back(std::move(text)); }
  void feed(const Event& event);
  void commit();
  void checkDecision(const Record& record);
  void crash();
  void carryOut(const Action& action);
  void deliverOne();
  void emit(Event event);
  MachineId anyMachine();
  void notice(MachineId id, Duration left);
  void die(MachineId id, GoneReason reason);
  void agentActs(MachineId id, bool calm);
  void adopt(MachineId id, const Directive& directive);
  void enter(MachineId id, MemberPhase phase);
  void report(MachineId id);
  void userActs();
  void marketActs();
  void tick();
  void checkStep();
  void checkDirective(MachineId id, const Directive& directive);
  void checkLedger();
  bool everythingDone() const;

  Choices choices_;
  Settings settings_;
  FirstFit policy_;
  State state_;
  Outcome out_;
  Time now_{std::chrono::hours{24 * 365 * 50}};
  // the store
  std::map<std::uint64_t, Job> jobs_;
  std::map<std::uint64_t, Machine> machines_;
  std::map<std::string, Pool> pools_;
  std::map<std::string, Queue> queues_;
  std::vector<Span> spans_;
  std::map<std::uint64_t, int> finished_;  // how often a job was reported finished
  std::set<std::uint64_t> submitted_;      // acknowledged
  std::vector<JobId> unacknowledged_;
  // the cloud and the network
  std::map<std::uint64_t, Instance> instances_;
  std::vector<Event> events_;    // under way, in any order
  std::vector<Event> past_;      // delivered before, may come again
  std::vector<Action> actions_;  // committed, not yet carried out
  std::vector<MachineId> held_;
  std::map<std::uint64_t, Epoch> directed_epoch_;
  std::size_t crashes_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace buoy::engine::testing
