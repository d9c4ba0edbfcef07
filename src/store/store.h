#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace buoy::store {

// What only the store keeps of a job: the specification as submitted (JSON, api/job_spec.h) and the request
// id that makes a repeated submit harmless.
struct JobDocument {
  JobId job;
  std::string spec;
  std::string request_id;  // empty: none
};

struct JobRow {
  JobId id;
  std::string
      record;  // JSON of the job's engine record, for store/codec.h's decodeJob; docs/formats/state.md
  std::string spec;
};
struct MachineRow {
  MachineId id;
  std::string record;  // for decodeMachine
};
struct RecordRow {
  std::int64_t seq = 0;
  engine::Record record;
};
// A point is told apart by job, attempt, machine and seq: what is committed twice is kept once.
struct MetricPoint {
  JobId job;
  std::uint32_t attempt = 0;
  MachineId machine;
  std::uint64_t seq = 0;
  std::string name;
  Time at{};
  double value = 0;
};
// A record that an agent told, its `number`-th of the assignment (record.job, epoch, record.machine); the
// same number again is not kept again.
struct AgentRecord {
  engine::Record record;
  Epoch epoch = 0;
  std::uint64_t number = 0;
};

// What a front door keeps beside the engine's own things, by kind and name: a job definition, tags.
struct Resource {
  std::string kind;
  std::string name;
  std::string body;  // JSON; empty in a batch: it is removed
};

struct JobQuery {
  std::optional<bool> finished;          // nullopt: both
  std::string name;                      // exact; empty: any
  std::string queue;                     // exact, without a name; empty: any
  std::vector<engine::JobPhase> phases;  // with a queue; empty: any
  bool no_tasks = false;                 // with a queue: without the tasks of arrays
  JobId before;                          // ids below this; none: from the newest
  int limit = 100;
};

struct Batch {
  const engine::State* state = nullptr;  // where the ids in `changes` are looked up
  const engine::Changes* changes = nullptr;
  std::vector<JobDocument> documents;
  std::vector<MetricPoint> metrics;
  std::vector<AgentRecord> agent_records;
  std::vector<Resource> resources;
  bool empty() const {
    return changes->empty() && documents.empty() && metrics.empty() && agent_records.empty() &&
           resources.empty();
  }
};

// Durable state. commit and load come from one thread at a time; everything else may come from any thread.
// Reads see the last commit and never wait for the writer.
//
// Errors of writes: resource_exhausted (retryable) when the storage is full; the same commit may be tried
// again.
class Store {
 public:
  virtual ~Store() = default;

  // One transaction, durable when it returns. On error nothing of it is there.
  virtual Status commit(const Batch& batch) = 0;
  // Everything unfinished, into `state`, plus the next ids. Called once, before the first commit.
  virtual Status load(engine::State& state) = 0;

  virtual Result<std::optional<JobId>> findRequest(const std::string& request_id) = 0;
  virtual Result<JobRow> job(JobId id) = 0;  // not_found
  // As of one commit, in the order of the ids; nullopt: there is no such job.
  virtual Result<std::vector<std::optional<JobRow>>> jobsById(std::span<const JobId> ids) = 0;
  virtual Result<std::string> jobSpec(JobId id) = 0;                           // not_found
  virtual Result<std::vector<JobRow>> jobs(const JobQuery& query) = 0;         // newest first, without specs
  virtual Result<std::int64_t> countJobs(bool finished) = 0;                   // kept as a counter: O(log n)
  virtual Result<std::int64_t> countUnfinished(const std::string& queue) = 0;  // likewise
  // All that there are, and the last `most_gone` of those that are gone; newest first.
  virtual Result<std::vector<MachineRow>> machines(int most_gone) = 0;
  virtual Result<MachineRow> machine(MachineId id) = 0;     // not_found
  virtual Result<std::vector<engine::Pool>> pools() = 0;    // by name
  virtual Result<std::vector<engine::Queue>> queues() = 0;  // by name
  // In the order of `seq`, behind `after_seq`. `job` or `machine` none: of any.
  virtual Result<std::vector<RecordRow>> records(JobId job, MachineId machine, std::int64_t after_seq,
                                                 int limit) = 0;
  virtual Result<std::vector<engine::Span>> spans(JobId job) = 0;  // by begin
  // The newest `limit` of what happened to a pool's spot capacity before an instant, oldest first.
  virtual Result<std::vector<engine::MarketEvent>> market(const std::string& pool, Time before,
                                                          int limit) = 0;
  // The newest `limit` points, oldest first. Each machine's are in the order in which they were found: their
  // times are told as ages, and may differ by what a report was under way.
  virtual Result<std::vector<MetricPoint>> metrics(JobId job, int limit) = 0;
  virtual Result<std::vector<Resource>> resources() = 0;  // all, by kind and name
  // Small named values of the control plane: cluster id, token hashes, configuration. Durable when put
  // returns.
  virtual Result<std::optional<std::string>> value(const std::string& key) = 0;
  virtual Status putValue(const std::string& key, const std::string& value) = 0;
  // The latest instant that was ever written: a clock must not start before it.
  virtual Result<Time> latestTime() = 0;
};

// SQLite in WAL mode at `path` (created, migrated; 0600). Takes the lock file beside it (`path`.lock): a
// second server on the same state directory gets failed_precondition with the holder's process id.
Result<std::unique_ptr<Store>> openSqliteStore(const std::string& path);

}  // namespace buoy::store
