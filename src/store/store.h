#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace buoy::store {

// What only the store keeps of a job: the specification as submitted (JSON, api/job_spec.h) and the request id that
// makes a repeated submit harmless.
struct JobDocument {
  JobId job;
  std::string spec;
  std::string request_id;  // empty: none
};

struct JobRow {
  JobId id;
  std::string record;  // JSON of the job's engine record, including its ledger; the keys are in docs/formats/state.md
  std::string spec;
};
struct MachineRow { MachineId id; std::string record; };
struct RecordRow { std::int64_t seq = 0; engine::Record record; };
struct MetricPoint { JobId job; std::uint32_t attempt = 0; std::string name; Time at{}; double value = 0; };

struct JobQuery {
  std::optional<bool> finished;          // nullopt: both
  std::string name;                      // exact; empty: any
  JobId before;                          // ids below this; none: from the newest
  int limit = 100;
};

struct Batch {
  const engine::State* state = nullptr;  // where the ids in `changes` are looked up
  const engine::Changes* changes = nullptr;
  std::vector<JobDocument> documents;
  std::vector<MetricPoint> metrics;
};

// Durable state. Writes come from one thread; reads may come from any thread and never wait for the writer.
class Store {
 public:
  virtual ~Store() = default;

  // One transaction, durable when it returns. On error nothing of it is there.
  virtual Status commit(const Batch& batch) = 0;
  // Everything unfinished, into `state`, plus the next ids. Called once, before the first commit.
  virtual Status load(engine::State& state) = 0;

  virtual Result<std::optional<JobId>> findRequest(const std::string& request_id) = 0;
  virtual Result<JobRow> job(JobId id) = 0;                                       // not_found
  virtual Result<std::string> jobSpec(JobId id) = 0;
  virtual Result<std::vector<JobRow>> jobs(const JobQuery& query) = 0;            // newest first, without specs
  virtual Result<std::int64_t> countJobs(bool finished) = 0;                      // kept as a counter: O(1)
  virtual Result<std::vector<MachineRow>> machines(bool include_gone, int limit) = 0;
  virtual Result<MachineRow> machine(MachineId id) = 0;
  virtual Result<std::vector<RecordRow>> records(JobId job, MachineId machine, std::int64_t after_seq, int limit) = 0;
  virtual Result<std::vector<engine::Span>> spans(JobId job) = 0;
  virtual Result<std::vector<MetricPoint>> metrics(JobId job, int limit) = 0;
  // Small named values of the control plane: cluster id, token hashes, configuration. Durable when put returns.
  virtual Result<std::optional<std::string>> value(const std::string& key) = 0;
  virtual Status putValue(const std::string& key, const std::string& value) = 0;
};

// SQLite in WAL mode at `path` (created, migrated; 0600). Takes the lock file beside it: a second server on the same
// state directory gets failed_precondition with the holder's process id.
Result<std::unique_ptr<Store>> openSqliteStore(const std::string& path);

}  // namespace buoy::store
