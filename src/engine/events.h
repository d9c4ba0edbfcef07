#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "engine/spot_question.h"
#include "engine/types.h"

// What can happen to the engine (Event), what it wants done (Action), and what of its state must be made
// durable before any action is carried out (Changes). Everything is a value.
namespace buoy::engine {

// ---- from people
struct SubmitJob {
  JobRequest request;
  // A job of depends_on that has ended without success: this one fails at once. The others that the engine
  // does not know any more have succeeded.
  JobId failed_dependency = {};
};  // already validated (api/)
struct CancelJob {
  JobId job;
  // failed_precondition if it has an attempt that starts or runs.
  bool only_waiting = false;
  std::string why = {};     // what the job says then; empty: "cancelled"
  std::int32_t index = -1;  // of an array: this task alone
};
struct SaveJob {
  JobId job;
};  // ask the running job to save now
struct ResumeJob {
  JobId job;
  Money budget;  // the new one, of the whole job; zero: as it was
};
struct ReclaimMachine {
  MachineId machine;
  Duration notice{};
};  // injected; zero: without notice
struct OpenMachine {
  std::string pool;
  Market market = Market::spot;
  Resources resources;
  std::string holder;
};
struct CloseMachine {
  MachineId machine;
};
struct PutPool {
  Pool pool;
};
struct PutQueue {
  Queue queue;
};
// Whether the machines of a provider can run containers has changed: `problem` says why not; empty: they can.
struct ContainersChanged {
  std::string provider, problem;
};
// failed_precondition: a queue names it, or a machine of it works. Idle machines are released.
struct RemovePool {
  std::string pool;
};
// Its jobs are cancelled.
struct RemoveQueue {
  std::string queue;
};
// ---- from providers. `since` and `until`: the beginning and the end of what is billed, by the provider's
// own account; zero: it does not say, and the instant at which the event arrives counts.
struct LaunchSucceeded {
  MachineId machine;
  std::string provider_ref;
  std::string address;
  Time since{};
  // Where it is not what was asked for: one of the pool's types, and what it costs now (zero: as the pool
  // says).
  std::string type = {};
  PricePerHour price = {};
};
enum class LaunchError : std::uint8_t { capacity, quota, throttled, price, invalid, other };
struct LaunchFailed {
  MachineId machine;
  LaunchError error = LaunchError::other;
  std::string message;
};
enum class GoneReason : std::uint8_t { reclaimed, terminated, vanished };
struct MachineGone {
  MachineId machine;
  GoneReason reason = GoneReason::vanished;
  std::string detail;
  Time since{}, until{};
  bool charged = false;  // the provider charges for it as if it had been given back, whatever the reason
};
struct MachineAlive {
  MachineId machine;
};  // the provider's answer to QueryMachine
struct PriceChanged {
  std::string pool;
  std::string type;
  PricePerHour spot_price;
  Time since{};
  MachineId machine = {};    // given: of this machine alone, whatever the pool offers now
  bool offers_only = false;  // machines that run keep their price: the provider tells of each
};
// ---- from agents
struct AgentConnected {
  MachineId machine;
  std::string address;
};
struct LeaseRenewed {
  MachineId machine;
};
// The agent of `machine` has no agent running for this part of it, and will start none.
struct PartClosed {
  MachineId machine, part;
  std::string detail = {};  // how it ended, if it did so by itself
};
struct NoticeReceived {
  MachineId machine;
  Time deadline;
};
// Cumulative for one assignment, so that a lost report is repaired by the next: applying it twice changes
// nothing.
struct AgentReport {
  MachineId machine;
  JobId job;
  Epoch epoch = 0;
  struct PhaseChange {
    MemberPhase phase;
    Time at;
  };
  std::vector<PhaseChange> phases;  // in order, without `assigned`
  std::uint64_t committed_version = 0;
  Time committed_covers{};             // work done before this instant is in that version
  std::optional<MemberResult> result;  // with phase done
  SaveMeasure save = {};               // of committed_version
};
// ---- from whoever solves plans
struct PlanSolved {
  JobId job;
  std::shared_ptr<const SpotPlan> plan;  // null: it could not be solved now
};
// ---- from the clock
struct Tick {};

using Event =
    std::variant<SubmitJob, CancelJob, SaveJob, ResumeJob, ReclaimMachine, OpenMachine, CloseMachine, PutPool,
                 PutQueue, ContainersChanged, RemovePool, RemoveQueue, LaunchSucceeded, LaunchFailed,
                 MachineGone, MachineAlive, PriceChanged, AgentConnected, LeaseRenewed, PartClosed,
                 NoticeReceived, AgentReport, PlanSolved, Tick>;

// ---- actions: each idempotent by its machine id
struct LaunchMachine {
  MachineId machine;
};  // details are in the state's Machine
struct TerminateMachine {
  MachineId machine;
};
struct QueryMachine {
  MachineId machine;
};  // is it alive? answered by MachineAlive or MachineGone
struct RequestReclaim {
  MachineId machine;
  Duration notice{};
};  // pass an injected reclaim to the provider
struct DirectAgent {
  MachineId machine;
  Directive directive;
};
struct SolvePlan {
  JobId job;
  std::shared_ptr<const SpotQuestion> question;
};  // for planFor, away from the engine's thread; answered by PlanSolved
using Action =
    std::variant<LaunchMachine, TerminateMachine, QueryMachine, RequestReclaim, DirectAgent, SolvePlan>;

// ---- what must be durable
// One line of a job's or machine's history; `detail` is one sentence for people. `buoy why` and the timeline
// read these.
struct Record {
  Time at{};
  JobId job;  // none: about a machine, pool or queue only
  MachineId machine;
  std::uint32_t attempt = 0;
  std::string kind;  // stable: "submitted", "placed", "launch_failed", "notice", "lost", "restored",
                     // "committed", "finished", …
  std::string detail;
  struct Candidate {
    std::string pool, type;
    Market market;
    PricePerHour price;
    double score;
    std::string rejected;
  };
  std::vector<Candidate>
      candidates;  // of a placement decision: rejected empty = possible; the first possible was chosen
  // What a spot policy was asked about a job with a deadline, and what it answered.
  struct Steered {
    SpotQuestion question;
    Holding take = Holding::nothing;
    std::string pool;  // with Holding::spot
    std::string reason;
  };
  // What the policy was shown when it decided: its answer follows from this and `at` alone (rederive).
  struct Decision {
    struct Seen {
      std::shared_ptr<const Pool> pool;  // as it was, without provider_config; shared by decisions
      std::int32_t free = 0, idle_spot = 0, idle_on_demand = 0;
      bool trial_spot = false, trial_on_demand = false;
    };
    Resources resources;
    SpotPreference spot = SpotPreference::prefer;
    bool image = false;
    std::int32_t count = 1;
    std::vector<Seen> pools;
    std::vector<MachineId> machines;         // that were taken or asked for; none: nothing was possible
    std::shared_ptr<const Steered> steered;  // of a spot policy; then nothing else is here
  };
  std::shared_ptr<const Decision> decision;  // null: this record is of no decision
};
// A closed piece of a machine's billed life. Spans of one machine touch and never overlap; those that are
// empty have an amount instead: what BillingRule adds to the price of the time, or takes back of it.
struct Span {
  MachineId machine;
  JobId job;
  std::uint32_t attempt = 0;
  Use use = Use::starting;
  Time begin{}, end{};
  PricePerHour price, on_demand_price;
  Money amount = {};

  Money cost() const {
    Money sum = buoy::cost(price, end - begin);
    return sum += amount;
  }
};
struct Changes {
  std::vector<JobId> jobs;  // upsert these (look them up in the state); each at most once
  std::vector<MachineId> machines;
  std::vector<std::string> pools, queues;  // those that the state does not know any more are erased
  std::vector<Record> records;
  std::vector<Span> spans;
  std::vector<MarketEvent> market;
  bool empty() const {
    return jobs.empty() && machines.empty() && pools.empty() && queues.empty() && records.empty() &&
           spans.empty() && market.empty();
  }
};

// The answer to whoever sent the event.
struct Reply {
  bool accepted = true;
  ErrorCode code = ErrorCode::internal;  // if not accepted
  std::string message;
  JobId job;          // SubmitJob
  MachineId machine;  // OpenMachine
};

}  // namespace buoy::engine
