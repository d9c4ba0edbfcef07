#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/units.h"
#include "engine/spot_policy.h"

// The nouns of the engine. Plain values: no I/O, no clock, no threads. Full job specifications (command, env,
// …) are not here: the store keeps them, the engine keeps only what decisions need, so that 100,000 queued
// jobs are cheap.
namespace buoy::engine {

enum class SpotPreference : std::uint8_t { prefer, only, never };
enum class Market : std::uint8_t { spot, on_demand };
// What becomes of a job's image: its command runs in a container of it, or without it, as a process.
enum class Isolation : std::uint8_t { container, process };

struct Resources {
  std::int32_t milli_cpus = 1000;
  std::int32_t gpus = 0;
  ByteCount memory{};  // zero: no request
  bool operator==(const Resources&) const = default;
};

// Another job that must have succeeded before this one begins.
struct Dependency {
  JobId job;
  bool same_index = false;  // of two arrays of one size: each task waits for the task of its index only
  bool operator==(const Dependency&) const = default;
};
// What becomes of a failed attempt: every pattern that is given must match ('*' at the end stands for
// anything). Of a list the first rule that matches decides; where none does, it is tried again.
struct RetryRule {
  std::string exit_code;  // "137", "1*"
  std::string reason;     // of the failure, one sentence
  std::string status;     // failureStatus()
  bool retry = true;
  bool operator==(const RetryRule&) const = default;
};

// What a user asks for, reduced to what decisions need.
struct JobRequest {
  std::string name;
  std::string queue = "default";
  std::vector<std::string> pools;  // in order of preference; empty: the queue's
  std::int32_t machines = 1;       // gang size
  Resources resources;
  SpotPreference spot = SpotPreference::prefer;
  std::int32_t priority = 0;        // within the queue, and there within its share, higher first
  std::string share;                // on whose account it runs in a queue with a FairShare
  std::int32_t retry_failures = 0;  // how many times the job's own non-zero exit is forgiven
  Duration max_run{};               // over all attempts, zero: none
  Duration max_wait{};              // waiting plus running from submit, zero: none
  Duration stop_grace{30'000'000};  // from the stop signal to SIGKILL
  SpotRule policy = SpotRule::none;
  Duration deadline_in{};   // from submit, zero: none
  Time deadline_at{};       // or this instant
  Duration work{};          // of the whole job, uninterrupted; known where there is a deadline
  Money budget{};           // that the ledger never exceeds, zero: none
  bool image = false;       // its command is meant for a container of an image
  std::int32_t array = 0;   // so many tasks, each a job of its own; zero: it is one job
  bool sequential = false;  // of an array: a task begins when the one before has succeeded
  std::vector<Dependency> depends_on;
  std::vector<RetryRule> retry_rules;  // beside retry_failures
  Duration attempt_timeout{};          // running time of one attempt, after which the job ends; zero: none
  std::int32_t race = 0;  // its machine is asked for in so many pools at once (race.cc); below two: in one
  bool alone = false;     // has a machine to itself, also in pools where jobs share machines
  bool begins_again = false;  // after every loss and move: it keeps no checkpoint
  bool main_decides = false;  // of a gang: with the end of rank 0 it ends, however the others end
};

enum class JobPhase : std::uint8_t {
  queued,      // no machine yet
  starting,    // machines asked for, or up and preparing
  running,     // every member's process runs
  recovering,  // lost its machine(s) or failed with retries left; the next attempt is being put together
  stopping,    // told to stop, saving
  paused,      // saved, and without machines: its budget is used up; it goes on when that is raised
  succeeded,
  failed,
  cancelled,
  timed_out,  // terminal
};
constexpr bool isTerminal(JobPhase phase) {
  return phase >= JobPhase::succeeded;
}

enum class StopReason : std::uint8_t {
  none,
  cancelled,
  max_run,
  max_wait,
  peer_lost,
  peer_failed,
  notice,
  moved,       // it goes on elsewhere, or later
  paused,      // its budget is used up
  main_ended,  // JobRequest::main_decides: it has succeeded
};

// The phases of one member of an attempt, as its agent reports them, in this order (some may be skipped).
enum class MemberPhase : std::uint8_t {
  assigned,   // the agent does not know of it yet
  preparing,  // the agent fetches sources and inputs
  restoring,  // the agent restores the checkpoint
  running,    // the job's process runs
  saving,     // the process has ended or been told to; the last flush and commit
  done,       // nothing more will come; see MemberResult
};

struct MemberResult {
  enum class Kind : std::uint8_t {
    exited,        // by itself: exit_code counts
    stopped,       // after a Directive::stop or after a notice's signal, whatever the code was
    setup_failed,  // the agent could not prepare or restore: `detail` says why; counts as a failure of the
                   // job
    machine_lost,  // the machine is unfit (its directory gone, disk full): not the job's fault, moves
                   // elsewhere
    fenced,        // a later epoch exists; whatever it did is void
  };
  Kind kind = Kind::exited;
  std::int32_t exit_code = 0;  // 128 + N for signal N
  std::string detail;
};

// Running time whose use is not known yet: a commit makes it useful, a loss makes it redone.
struct HeldTime {
  Time begin{}, end{};
  PricePerHour price, on_demand_price;
  bool operator==(const HeldTime&) const = default;
};

struct Member {
  MachineId machine;  // none: the rank is vacant, a machine for it is being sought
  MemberPhase phase = MemberPhase::assigned;
  Time phase_since{};
  std::optional<MemberResult> result;
  std::uint64_t committed_version = 0;  // last checkpoint version reported committed
  Time running_since{};                 // zero until it ran
  Time accounted_until{};               // running time before this is already in the ledger
  StopReason stop = StopReason::none;   // told to stop, and why
  Time stop_since{};                    // when it was told; with stop only
  bool verified = false;                // while the attempt verifies a failure: its machine has answered
  std::vector<HeldTime> held;           // closed pieces of running time, oldest first, not yet in the ledger
};

struct Attempt {
  std::uint32_t number = 0;  // 1, 2, …; every restart is a new attempt
  Epoch epoch = 0;
  std::vector<Member> members;  // by rank
  Time created{};
  bool directed = false;  // members have been told to run: the gang was complete
  bool interrupted =
      false;  // a machine was lost or noticed: what its members report is neither success nor failure
  bool failed = false;            // a member's failure counts: every other machine was verified to live
  Time verify_until{};            // a member failed, the peers' machines are being asked; zero: no
  Time vacant_since{};            // a rank has no machine and none can be had in the pool; zero: no
  Time begun{};                   // when it was directed
  Time saved_until{};             // the work done before this instant is committed; zero: nothing is
  std::vector<MachineId> rivals;  // asked for elsewhere meanwhile: the first that is up runs it
};

// What stays of an attempt when it is over. Of a gang that of rank 0, or of the rank that failed.
struct PastAttempt {
  std::uint32_t number = 0;
  MachineId machine;
  Time started{};  // zero: its process never ran
  Time stopped{};
  std::optional<std::int32_t> exit_code;  // none: it did not end by itself
  bool interrupted = false;               // a machine was lost, or the job moved: not the job's own doing
  std::string reason;                     // one sentence
};

// Ledger categories. Every instant of every machine's billed life is in exactly one.
enum class Use : std::uint8_t { useful, redone, saving, restoring, starting, waiting };
constexpr std::size_t kUseCount = 6;
struct Ledger {
  std::array<Duration, kUseCount> time{};
  std::array<Money, kUseCount> cost{};
  Duration queued{};  // job time with no machine at all: costs nothing
  // What the same work would have cost on demand, where nothing is reclaimed: on-demand price × (useful time
  // + the starting time of the first attempt).
  Money on_demand_cost{};
  std::uint32_t reclaims_noticed = 0;
  std::uint32_t reclaims_unnoticed = 0;
};

// What saving costs here, for telling what fits into a notice.
struct SaveMeasure {
  // The largest checkpoint that could have been saved within the notice; 0: not known, or there is no notice.
  std::uint64_t fitsInNotice() const;

  std::uint64_t bytes = 0;             // of the version that was saved last
  std::uint64_t sent = 0;              // of these; the others were stored already
  Duration took{};                     // to store it, beside the job
  Duration wrote{};                    // what the job itself took to write it; zero: too short to tell
  std::uint64_t bytes_per_second = 0;  // by the save that moved most; 0: none moved enough to tell
  Duration notice{};                   // what this machine is told before a reclaim; zero: nothing
  Duration interval{};                 // between two saves, as the job is told from then on; zero: not known
  bool operator==(const SaveMeasure&) const = default;
};

// What a job with a deadline is to hold, and what that is decided by (steering.cc).
struct Steering {
  Holding want = Holding::nothing;
  std::string pool;       // with Holding::spot: where
  std::string reason;     // why; empty: not decided yet
  bool moving = false;    // the current attempt works on until the next one is whole; then it saves and ends
  Duration saved_work{};  // running time of the whole gang that is in committed checkpoints
  Duration setup{};       // the longest from the start of an attempt to its running; zero: none was seen
  std::uint64_t restored_bytes = 0;  // the largest checkpoint that was restored in such a time
  // Not durable: after a restart it is asked for again.
  std::shared_ptr<const SpotPlan> plan;  // that its policy decides by; null: none
  Time planned{};                        // when that came
  bool planning = false;                 // SolvePlan is not answered yet
};

// Of a job with request.array: its tasks are jobs with ids of their own, behind the array's, but each is made
// only when there is a machine for it, so that a waiting array costs as much as a waiting job.
struct ArrayState {
  std::string tasks;  // by index: '.' not begun, 'r' begun, 's' succeeded, 'f' failed
  std::uint32_t begun = 0, succeeded = 0, failed = 0;
  std::uint32_t first = 0;  // no task below it is '.'
};
constexpr JobId taskOf(JobId array, std::uint32_t index) {
  return JobId{array.value + 1 + index};
}

struct Job {
  JobId id;
  JobRequest request;
  JobPhase phase = JobPhase::queued;
  StopReason stop = StopReason::none;
  Time submitted{};
  Time phase_since{};
  Time waiting_since{};  // since when it has no attempt at all; zero: it has one, or is finished
  Duration ran{};        // time in phase running over all attempts (without a running phase that is now open)
  std::uint32_t attempts = 0;  // made so far
  std::uint32_t failures = 0;  // non-zero exits forgiven so far
  Epoch epoch = 0;             // of the latest attempt
  std::optional<std::int32_t> exit_code;
  std::string reason;                // one sentence for people: why it is in this phase
  std::unique_ptr<Attempt> current;  // null while queued
  std::unique_ptr<Attempt> next;   // being assembled while `current` saves (replacement sought at the notice)
  std::unique_ptr<Ledger> ledger;  // null until it had a machine
  std::uint64_t last_version = 0;  // newest committed checkpoint over all attempts
  SaveMeasure last_save;           // of that version; bytes_per_second 0 and took 0: nothing was measured
  std::uint64_t save_requests = 0;  // how often a save was asked for
  Time save_asked{};    // the last time that was; zero: it is answered by a version, or there was none
  bool paused = false;  // for want of budget; while it still saves, too
  std::unique_ptr<Steering> steering;  // of a job with a deadline
  std::vector<PastAttempt> past;       // the last kPastKept, oldest first
  std::vector<JobId> waits_for;        // what is left of request.depends_on, without same_index
  std::unique_ptr<ArrayState> array;   // of an array
  JobId parent;                        // the array that it is a task of; none: it is none
  std::int32_t index = -1;             // in it
  static constexpr std::size_t kPastKept = 10;
};
// A deep copy (Job itself is move-only because of its attempts).
Job clone(const Job& job);

enum class MachinePhase : std::uint8_t {
  requested,  // a launch is intended or in flight: LaunchMachine is re-issued until answered
  booting,    // the provider says it exists; its agent has not been heard from
  idle,       // agent connected, no work
  assigned,   // belongs to an attempt, or jobs are on parts of it
  releasing,  // an end is intended or in flight: TerminateMachine is re-issued until MachineGone
  gone,       // terminal
};

// What a machine was charged with so far, for one use of one job (none: nobody's).
struct Charge {
  JobId job;
  std::uint32_t attempt = 0;
  Use use = Use::starting;
  Money cost;
  bool operator==(const Charge&) const = default;
};

struct Machine {
  MachineId id;
  std::string pool;
  std::string type;
  Market market = Market::spot;
  PricePerHour price;            // now
  PricePerHour on_demand_price;  // of the same type
  MachinePhase phase = MachinePhase::requested;
  Time phase_since{};
  JobId job;        // owner attempt's job, or none
  Epoch epoch = 0;  // of the attempt it belongs to
  std::int32_t rank = 0;
  JobId rival_of;      // it is one of several that were asked for this job, and not (yet) the one
  std::string holder;  // held open by a person; empty: not held
  std::string provider_ref;
  std::string address;  // how peers reach it
  Time requested{};
  Time billed_from{};        // zero until the provider says it exists
  Time span_begin{};         // start of the ledger span now open
  Use use = Use::starting;   // of that span
  Time lease_until{};        // renewed by heartbeats; not persisted at each one
  bool unreachable = false;  // lease expired, the provider says it lives: left alone
  std::optional<Time> notice_deadline;
  std::uint32_t launch_failures = 0;
  bool taken = false;  // it ended by itself: reclaimed, or gone without a trace; not given back or terminated
  bool reclaim_asked = false;   // by a person: nothing is learned of the market from its end
  std::vector<Charge> charges;  // while its provider may still take them back (BillingRule::free_within)
  // A part of a machine is a machine to its job: it has an agent, a lease and a life of its own, within its
  // host's (parts.cc).
  MachineId host;                     // whose part it is; none: it is a machine of its own
  Resources part;                     // of a part: what of its host it has
  std::vector<std::int32_t> devices;  // of a part: its host's GPUs, by number, ascending
};
// The part that `have` takes of a machine that offers `all`, of its price: the mean of its shares of the CPUs
// and, where there are any, of the GPUs, so that what fits into a machine never costs more than it. Rounded
// down.
PricePerHour partOf(PricePerHour price, const Resources& have, const Resources& all);

// Where machines come from.
struct MachineType {
  std::string name;
  Resources resources;
  PricePerHour on_demand_price;
  PricePerHour spot_price;
};
// What a provider charges otherwise than by the time of a machine. Zero: it does not.
struct BillingRule {
  Duration least{};        // every machine is charged for so long at least
  Duration free_within{};  // a spot machine that its provider takes back before this age costs nothing
  bool operator==(const BillingRule&) const = default;
};
struct Pool {
  std::string name;
  std::string provider;             // "local", …
  std::vector<MachineType> types;   // in order of preference
  std::int32_t max_machines = 0;    // zero: no limit
  std::int64_t max_milli_cpus = 0;  // of all its machines; the last one may exceed it; zero: no limit
  std::int32_t min_machines = 0;    // so many are kept, whether or not anybody needs them; none while paused
  bool spot = true;                 // offers spot
  bool on_demand = true;
  bool paused = false;
  bool pack = false;         // jobs on one machine each share machines, as far as there is room
  bool never_packs = false;  // that was said: nor does a pool that is modelled on it
  Isolation isolation = Isolation::container;  // of jobs with an image
  std::string no_containers;  // why its machines can run none, as its provider says; empty: nothing is known
                              // against it
  Duration idle_timeout{};    // how long a machine that nobody waits for is kept; zero: as the settings say
  std::int32_t max_spot_percent = 0;  // spot is taken up to this part of the on-demand price; zero: at any
  std::string provider_config;        // opaque to the engine: the provider's own section, JSON
  // memory of failures: not tried before `retry_at`
  std::uint32_t consecutive_failures = 0;
  Time retry_at{};
  // the same for spot launches that failed for want of capacity or by price; on-demand may go on meanwhile
  std::uint32_t spot_failures = 0;
  Time spot_retry_at{};
  Duration
      launch_time{};  // how long a launch is taken to last until that was seen; zero: as the settings say
  Duration launch_seen{};  // an upper bound of those seen of late; zero: none was
  // Since when spot could be had, or not, as launches showed; oldest first, the last kSpotSeen.
  struct SpotChange {
    Time at{};
    bool up = false;
  };
  std::vector<SpotChange> spot_seen;
  static constexpr std::size_t kSpotSeen = 64;
  Money transfer_price;  // of a GiB between the checkpoint store and its machines
  // Recorded markets that are said to be like it, by the names under which the control plane keeps them.
  std::vector<std::string> learn;
  // What happens to its spot capacity is told in Changes::market and kept; spot policies learn from what was
  // told before `learned_until`, which moves on when a quarter was added, and at first eight.
  Time learned_until{};                               // zero: not yet
  std::uint32_t market_learned = 0, market_news = 0;  // how much was told before, and since
  BillingRule billing;
};
// What happened to a pool's spot capacity.
struct MarketEvent {
  enum class What : std::uint8_t {
    up,     // spot could be had from here on
    down,   // not any more
    ended,  // a spot machine's life ended
  };
  std::string pool;
  Time at{};
  What what = What::up;
  Duration lived{};    // with ended
  bool taken = false;  // with ended: by the market; else it was given back, or taken because somebody asked
  bool operator==(const MarketEvent&) const = default;
};
// How the shares of a queue, which are whatever its jobs name (JobRequest::share), have it between them: the
// one that uses the least for its weight goes first (fair_share.h).
struct FairShare {
  Duration decay{};  // how long past use counts (its weight falls by a factor e in it); zero: not at all
  std::int32_t reserve = 0;  // percent of a pool kept free for shares that have nothing: of n active ones,
                             // its n-th power
  struct Weight {
    std::string share;  // "team*": of every share that begins so and is not named itself
    double weight = 1;  // more: more of the queue; that of shares that are not here is 1
    bool operator==(const Weight&) const = default;
  };
  std::vector<Weight> weights;
  bool operator==(const FairShare&) const = default;
};
// What a share has used of late, as it was at some instant: the mean of what it held, in milli-cpus.
struct ShareHistory {
  std::string share;
  double milli_cpus = 0;
  bool operator==(const ShareHistory&) const = default;
};
// Why a job that waits will not get anything for now, however many machines others give back.
enum class StuckFor : std::uint8_t {
  no_type,      // no machine type of its pools is large enough
  too_large,    // it needs more machines than any of its pools may have
  no_capacity,  // there is room for it, but launches fail
};
// A job at the head of the queue that has been stuck for so long is cancelled.
struct StuckLimit {
  StuckFor cause = StuckFor::no_capacity;
  Duration after{};
  std::string reason;  // what the job says then
  bool operator==(const StuckLimit&) const = default;
};
struct Queue {
  std::string name;
  std::int32_t priority = 0;       // higher first
  std::vector<std::string> pools;  // in order
  bool paused = false;
  std::optional<FairShare> fair = {};  // none: in order of priority and age
  std::vector<StuckLimit> stuck_limits = {};
  // With fair: what is remembered over a restart, at most kShareSave old.
  std::vector<ShareHistory> used = {};
  Time used_at{};
  static constexpr Duration kShareSave = std::chrono::minutes{1};
};

// What an agent should be doing now: level-triggered, derived from state, so that telling it twice is
// harmless.
struct Directive {
  enum class Kind : std::uint8_t { idle, run, stop, shutdown };
  Kind kind = Kind::idle;
  JobId job;
  std::uint32_t attempt = 0;
  Epoch epoch = 0;
  std::int32_t rank = 0;
  std::vector<std::string> peers;  // addresses by rank
  StopReason stop = StopReason::none;
  Duration grace{};
  std::uint64_t save = 0;   // Job::save_requests: when it grows, the job is to save now
  JobId array;              // whose task the job is; none: it is none
  std::int32_t index = -1;  // in it
  // The parts of this machine: an agent for each is to run on it, of those that are not closing.
  struct Part {
    enum class Close : std::uint8_t { no, when_done, by_force };
    MachineId machine;
    Resources resources;
    std::vector<std::int32_t> devices;
    Close close = Close::no;
    bool operator==(const Part&) const = default;
  };
  std::vector<Part> parts;
  bool operator==(const Directive&) const = default;
};

std::string_view toString(SpotPreference value);
std::string_view toString(Market value);
std::string_view toString(Isolation value);
std::string_view toString(Holding value);
std::string_view toString(SpotRule value);
std::string_view toString(JobPhase value);
std::string_view toString(StopReason value);
std::string_view toString(MemberPhase value);
std::string_view toString(MemberResult::Kind value);
std::string_view toString(MachinePhase value);
std::string_view toString(Use value);
std::string_view toString(StuckFor value);
std::string_view toString(MarketEvent::What value);
// Inverse of toString for persisted and wire values; nullopt if unknown.
template <class Enum>
std::optional<Enum> fromString(std::string_view text);

}  // namespace buoy::engine
