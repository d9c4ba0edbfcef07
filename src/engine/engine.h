#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/events.h"
#include "engine/types.h"

namespace buoy::engine {

// Where the next machine should come from: the seam between the engine and src/schedule.
struct PlacementRequest {
  const Job* job = nullptr;  // null for a machine that a person opens
  Resources resources;
  SpotPreference spot = SpotPreference::prefer;
  bool image = false;      // of a job with an image
  std::int32_t count = 1;  // machines wanted, all or none
};
struct PoolView {
  const Pool* pool = nullptr;
  // Where the job shares machines, both are counted in parts of its size.
  std::int32_t free = 0;  // machines that still fit under max_machines and max_milli_cpus
  std::int32_t idle_spot = 0,
               idle_on_demand = 0;  // up, unused, large enough: taken before anything is launched
  bool trial_spot = false,
       trial_on_demand = false;  // after failures: one launch is under way, no second until it answers
};
struct Placement {
  const Pool* pool = nullptr;  // null: nothing possible now
  const MachineType* type = nullptr;
  Market market = Market::spot;
  std::vector<Record::Candidate> candidates;  // every option, in order of preference, with reasons
};
class PlacementPolicy {
 public:
  virtual ~PlacementPolicy() = default;
  // Pure. `pools` in the order of preference of the job or its queue.
  virtual Placement place(const PlacementRequest& request, std::span<const PoolView> pools,
                          Time now) const = 0;
  // What a job with a deadline holds from now on, by a spot policy within the safety net. Pure, too. Without
  // spot policies: on-demand.
  virtual SpotDecision steer(SpotRule rule, const SpotView& view) const;
  // The plan that the spot policy wants for such questions; null: it needs none. Takes up to half a second,
  // so it is asked of other threads than the one that steps the engine. Pure.
  virtual std::shared_ptr<const SpotPlan> plan(SpotRule rule, const SpotView& view) const;
};

struct Settings {
  Duration lease{15'000'000};          // heartbeats renew it; agents beat at a third of it
  Duration query_every{15'000'000};    // how often the provider is asked about an unreachable machine
  Duration boot_timeout{600'000'000};  // a machine whose agent never connects is given up
  Duration idle_timeout{0};            // an idle machine nobody waits for is released after this
  Duration launch_backoff_min{1'000'000}, launch_backoff_max{300'000'000};  // per pool, doubling
  Duration gang_hold{60'000'000};       // how long machines that are up wait for a rank that cannot be had
  Duration verify_timeout{10'000'000};  // how long a gang's failure waits for word of the other machines
  Duration stop_margin{30'000'000};   // beyond the grace, before a machine that does not report done is ended
  Duration launch_time{180'000'000};  // taken for pools that do not say, until launches were seen
  std::size_t most_plans = 16;        // different ones that jobs keep at once, of up to 20 MiB each
};

// The whole state: unfinished jobs and machines that are not gone, with the indices that keep every operation
// O(log n). Not thread-safe: one writer owns it.
class State {
 public:
  State();
  ~State();
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;

  const Job* job(JobId id) const;  // null when unknown or forgotten
  const Machine* machine(MachineId id) const;
  const Pool* pool(const std::string& name) const;
  const Queue* queue(const std::string& name) const;
  std::size_t jobCount() const;
  std::size_t machineCount() const;
  void forEachJob(const std::function<void(const Job&)>& visit) const;
  void forEachMachine(const std::function<void(const Machine&)>& visit) const;

  // Recovery: put back what the store kept, in any order, before the first step. Ids continue after the
  // highest ever used, which the store knows (finished jobs are not put back).
  void restore(Pool pool);
  void restore(Queue queue);
  void restore(Job job);
  void restore(Machine machine);
  void setNextIds(std::uint64_t next_job, std::uint64_t next_machine);

  // No later than the earliest instant at which a Tick would do something (it may be early: a renewed lease
  // is looked at when the old one would have ended); nullopt: none.
  std::optional<Time> nextDeadline() const;

  struct Impl;
  Impl& impl() { return *impl_; }
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

struct Outcome {
  std::vector<Action> actions;
  Changes changes;
  Reply reply;
  void clear();
};

// The one function that decides. Pure: everything it knows is in its arguments, all it does is in `state` and
// `out` (which it appends to, so that one group commit can collect many steps). `now` never goes back.
void step(State& state, const Event& event, Time now, const Settings& settings, const PlacementPolicy& policy,
          Outcome& out);

// After a restart: grants every known machine a fresh lease and appends every action that the state still
// intends (launches and terminations not answered, directives), each idempotent.
void resume(State& state, Time now, const Settings& settings, const PlacementPolicy& policy, Outcome& out);

// What would be decided for this waiting job at `now`, with every option and why it is rejected; nothing is
// changed. nullopt: the job is unknown or is not waiting for machines.
std::optional<Placement> explain(const State& state, JobId job, Time now, const PlacementPolicy& policy);

// The policy's answer to what it was shown at `at`, found again from the record of it. Pure.
Placement rederive(const Record::Decision& decision, Time at, const PlacementPolicy& policy);

// What the agent of this machine should be doing now; idle for unknown machines is wrong: they get shutdown.
Directive directiveFor(const State& state, MachineId machine);

// The spot policy's answer, and whether it is the one that was given. Pure.
bool rederives(const Record::Steered& steered, const PlacementPolicy& policy);

// Whether a machine that has this much is large enough for that.
bool covers(const Resources& have, const Resources& need);
// How long at most it takes from the order for machines of this pool until work goes on there, for a job of
// which nothing is known yet.
Duration changeoverBound(const Pool& pool, const JobRequest& request, const Settings& settings);
// Until when the job is to have finished; nullopt: whenever. `submitted`: when it was or would be.
std::optional<Time> deadlineOf(const JobRequest& request, Time submitted);
// The earliest deadline that can be promised at `now` with these pools, in order of preference: by the first
// that has on-demand machines for it. nullopt: none has.
std::optional<Time> earliestDeadline(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                                     const Settings& settings);
// "cannot be met: 8h of work and up to 6m …"; empty: it can, or there is none.
std::string whyInfeasible(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                          const Settings& settings);

// Erases the terminal jobs and gone machines named in `changes`, once those are durable.
void forget(State& state, const Changes& changes);

}  // namespace buoy::engine
