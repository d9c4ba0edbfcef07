#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/id_table.h"
#include "engine/engine.h"
#include "engine/fair_share.h"
#include "engine/timers.h"

// The inside of State: the objects, and the indices over them. Everything here beyond the public structs can
// be built again from them (rebuild), so a crash loses nothing. Private to src/engine.
namespace buoy::engine {

struct Bucket;

// The order in which waiting things are looked at: queue, then (where it is shared fairly) the level of the
// share, then priority, then age.
struct Rank {
  std::int32_t queue_priority = 0;
  double level = 0;
  std::int32_t priority = 0;
  JobId job;
  Bucket* bucket = nullptr;  // not part of the order

  bool operator<(const Rank& other) const {
    if (queue_priority != other.queue_priority) return queue_priority > other.queue_priority;
    if (level != other.level) return level < other.level;
    if (priority != other.priority) return priority > other.priority;
    return job < other.job;
  }
};

struct PoolSlot {
  Pool pool;
  std::shared_ptr<const Pool> snapshot;  // of `pool`, for records; null: not taken since it changed
  bool known = false;                    // false: only named by a machine or job that was restored before it
  Timer timer;
  std::uint32_t dirty_index = 0;
  std::set<MachineId> machines;                              // not gone; without parts
  std::set<MachineId> idle;                                  // free to be taken by any job
  std::set<MachineId> roomy;                                 // where it packs: may have room for parts
  std::int32_t requested_spot = 0, requested_on_demand = 0;  // launches not answered
  std::set<Rank> blocked;                                    // buckets that wait for this pool, among others
  std::set<Rank> vacant;                                     // jobs with a rank that only this pool can fill
  bool woken = false;          // something became possible here since the last pass
  std::optional<Rank> cursor;  // how far the pass is
  // The longest launch of the last and of this dozen.
  Duration longest_before{}, longest{};
  std::uint32_t launches = 0;
};

// The jobs of a queue that name one share. There is one for each that has a bucket, and in queues with a
// FairShare for each that holds, or of late held, something.
struct ShareSlot {
  std::string name;
  ShareUse use;
  double level = 0;              // by which its buckets stand in the sets below
  std::vector<Bucket*> buckets;  // in which its jobs wait
  bool changed = false;          // what it holds, since `level` was found
};

struct QueueSlot {
  Queue queue;
  bool known = false;
  std::uint32_t dirty_index = 0;
  std::map<std::string, ShareSlot, std::less<>> shares;
  bool shares_changed = false;  // some
  Time ranked_at{};             // when the levels of all were found; zero: never
  std::size_t active = 0;       // shares that hold or want something, then
};

// What placement is decided by, besides the order.
struct BucketKey {
  std::string_view queue;
  const std::vector<std::string>* pools;
  const Resources* resources;
  SpotPreference spot;
  std::int32_t machines;
  bool started;
  bool image;
  bool alone;
  std::string_view share;
};

// Jobs that placement cannot tell apart wait in one bucket; only its head is ever examined.
struct Bucket {
  QueueSlot* queue = nullptr;
  std::vector<std::string> pools;
  Resources resources;
  SpotPreference spot = SpotPreference::prefer;
  std::int32_t machines = 1;
  bool started = false;  // had an attempt already: a paused queue does not hold it back
  bool image = false;
  bool alone = true;  // never on a part of a machine
  ShareSlot* share = nullptr;
  JobId passed;  // the head that was told that other shares go first

  BucketKey key() const;

  struct Entry {
    std::int32_t priority = 0;
    JobId job;
    bool operator<(const Entry& other) const {
      return priority != other.priority ? priority > other.priority : job < other.job;
    }
  };
  std::set<Entry> waiting;
  Rank rank;                          // of the head, under which it stands in the sets below
  bool open = false;                  // in Impl::open: to be examined
  std::vector<PoolSlot*> blocked_in;  // examined in vain: in the `blocked` of these
  std::uint64_t failed_pass = 0;      // examined in vain in this pass
};

struct JobSlot {
  Job job;
  Timer timer;
  QueueSlot* queue = nullptr;
  std::int64_t held = 0;  // milli-cpus that count as its share's now
  Time stuck_since{};     // zero: it is not, or its queue does not mind
  StuckFor stuck = StuckFor::no_capacity;
  Time ask_at{};                  // when its spot policy is asked next, at the latest; zero: never
  bool asked = false;             // in Impl::asked
  Bucket* bucket = nullptr;       // waits for placement
  PoolSlot* vacant_in = nullptr;  // waits for a rank to be filled there
  std::uint32_t dirty_index = 0;
  bool touched = false;
  bool pending = false;
};

struct MachineSlot {
  Machine machine;
  PoolSlot* pool = nullptr;
  Timer timer;
  Time next_query{};  // of an unreachable machine, or the next TerminateMachine
  std::uint32_t dirty_index = 0;
  bool touched = false;
  bool redirected = false;
  bool ending = false;              // its parts end with it
  std::vector<MachineId> parts;     // not gone, in the order of their ids
  Resources used{.milli_cpus = 0};  // by them
};

struct BucketLess {
  using is_transparent = void;
  static BucketKey key(const std::unique_ptr<Bucket>& bucket) { return bucket->key(); }
  static const BucketKey& key(const BucketKey& value) { return value; }
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    return less(key(a), key(b));
  }
  static bool less(const BucketKey& a, const BucketKey& b);
};

struct State::Impl {
  IdTable<JobSlot> jobs;
  IdTable<MachineSlot> machines;
  std::map<std::string, PoolSlot, std::less<>> pools;
  std::vector<PoolSlot*> pools_by_number;  // Timer::id of a pool is its place here
  std::map<std::string, QueueSlot, std::less<>> queues;
  std::uint64_t next_job = 1, next_machine = 1;
  TimerHeap timers;
  std::set<std::unique_ptr<Bucket>, BucketLess> buckets;
  std::set<Rank> open;
  std::vector<QueueSlot*> fair;                    // queues with a FairShare
  std::set<JobId> steered;                         // unfinished jobs with a deadline
  std::map<JobId, std::vector<JobId>> dependents;  // of unfinished jobs: those that depend on them
  std::uint64_t pass = 0;
  Time resumed_at{};   // deadlines of agents that could not be heard before count from here
  bool stale = false;  // restored: the indices are to be rebuilt before the next step

  // of the running step
  std::vector<PoolSlot*> woken;
  std::vector<PoolSlot*> rewoken;   // after the pass that goes on
  std::vector<JobId> asked;         // their spot policies are to be asked
  std::vector<JobId> pending;       // to be advanced
  std::vector<JobId> ended;         // what waits for them is to be told
  std::vector<JobId> touched_jobs;  // their timers are to be set again
  std::vector<MachineId> touched_machines;
  std::vector<MachineId> redirected;
  std::vector<MachineId> freed;
  std::vector<PoolView> views;

  JobSlot* findJob(JobId id) { return jobs.find(id.value); }
  const JobSlot* findJob(JobId id) const { return jobs.find(id.value); }
  MachineSlot* findMachine(MachineId id) { return machines.find(id.value); }
  const MachineSlot* findMachine(MachineId id) const { return machines.find(id.value); }
  PoolSlot& poolSlot(const std::string& name);  // made when missing
  QueueSlot& queueSlot(const std::string& name);

  // Ready queues.
  Rank rankOf(const Job& job) const;
  void enqueue(JobSlot& slot);
  void dequeue(JobSlot& slot);
  void unlink(Bucket& bucket);  // out of `open` and of every `blocked`
  void reopen(Bucket& bucket);  // to be examined in the next pass
  void block(Bucket& bucket, const std::vector<PoolSlot*>& pools);
  void reopenAll();

  // Shares (shares.cc).
  ShareSlot& shareOf(QueueSlot& queue, std::string_view name);  // made when missing
  void join(Bucket& bucket, const std::string& share);
  void leave(Bucket& bucket);
  void moveByLevel(Bucket& bucket);  // to where its share's level puts it, in every set that it stands in
  void listFair();
  void countShares();                                               // from nothing
  std::vector<PoolSlot*> poolsOf(const JobRequest& request) const;  // in order of preference
  std::vector<PoolSlot*> poolsOf(const Job& job) const;             // the same, where it may now be placed
  void ask(JobSlot& slot);
  void askWaiting();            // jobs with a deadline that have nothing
  void askAll(PoolSlot& pool);  // of what it offers something has changed
  void wake(PoolSlot& pool);

  // Arrays (arrays.cc): 's' when nothing is in the way of a task but machines, else the state of what is.
  char gateOf(const Job& array, std::uint32_t index) const;
  std::optional<std::uint32_t> nextTask(const Job& job) const;  // that may begin now
  void indexDependencies(const Job& job);
  // Nothing but machines is in the way of a job that has no attempt.
  bool mayBegin(const Job& job) const {
    return job.waits_for.empty() && (!job.array || nextTask(job).has_value());
  }

  void rebuild();
};

// The attempt that is being put together: its machines are sought, its members not yet told to run.
inline Attempt* forming(const Job& job) {
  if (job.next) return job.next.get();
  return job.current && !job.current->directed ? job.current.get() : nullptr;
}
inline bool isSteered(const Job& job) {
  return job.steering != nullptr;
}
// What placement may use for it now: a job with a deadline is told by its policy.
inline SpotPreference spotOf(const Job& job) {
  if (!isSteered(job)) return job.request.spot;
  return job.steering->want == Holding::spot ? SpotPreference::only : SpotPreference::never;
}
// Whether it may share its machine, where a pool packs: not what was promised a date, or has to be several.
inline bool isAlone(const JobRequest& request) {
  return request.alone || request.machines > 1 || request.race > 1 || request.policy != SpotRule::none;
}
inline bool packs(const Pool& pool, const JobRequest& request) {
  return pool.pack && !isAlone(request);
}
inline bool isUp(const Machine& machine) {
  return machine.phase == MachinePhase::idle || machine.phase == MachinePhase::assigned;
}
// The pool from which the vacant ranks of an attempt must come: that of the machines it has. Null: it has
// none.
PoolSlot* anchorOf(State::Impl& state, const Attempt& attempt);

}  // namespace buoy::engine
