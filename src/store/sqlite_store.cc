#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include "base/strings.h"
#include "base/synchronized.h"
#include "os/files.h"
#include "store/codec.h"
#include "store/database.h"
#include "store/lock_file.h"
#include "store/migrations.h"
#include "store/store.h"

namespace buoy::store {
namespace {

using Counters = std::map<std::string, std::int64_t>;

constexpr std::size_t kIdleReaders = 8;
constexpr const char* kUnfinished = "unfinished";
constexpr const char* kFinished = "finished";
constexpr const char* kLastJob = "last_job";
constexpr const char* kLastMachine = "last_machine";
constexpr const char* kLatestTime = "latest_time";

std::string queueCounter(const std::string& queue) {
  return "queue/" + queue;
}
std::int64_t microseconds(Time time) {
  return time.time_since_epoch().count();
}
Time timeOf(std::int64_t microseconds_since) {
  return Time{Duration{microseconds_since}};
}

// The connections that read. A reader is made when all are busy, so that nobody waits, and kept up to a
// number.
class ReaderPool {
 public:
  explicit ReaderPool(std::string path) : path_(std::move(path)) {}

  // Runs `read(Database&)`, which returns a Result, on a connection of its own.
  template <class F>
  auto with(F&& read) -> decltype(read(std::declval<Database&>())) {
    auto reader = take();
    if (!reader) return fail(std::move(reader).error());
    auto result = read(**reader);
    giveBack(std::move(*reader));
    return result;
  }

 private:
  Result<std::unique_ptr<Database>> take() {
    auto reader = idle_.withLock([](auto& idle) {
      if (idle.empty()) return std::unique_ptr<Database>();
      auto last = std::move(idle.back());
      idle.pop_back();
      return last;
    });
    if (reader != nullptr) return reader;
    BUOY_TRY(Database opened, Database::open(path_, Database::Mode::read_only));
    BUOY_TRY_VOID(opened.execute("PRAGMA cache_size = -1024"));
    return std::make_unique<Database>(std::move(opened));
  }
  void giveBack(std::unique_ptr<Database> reader) {
    idle_.withLock([&](auto& idle) {
      if (idle.size() < kIdleReaders) idle.push_back(std::move(reader));
    });
  }

  std::string path_;
  Synchronized<std::vector<std::unique_ptr<Database>>> idle_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(os::Fd lock, Database writer, Counters counters, const std::string& path)
      : lock_(std::move(lock)), writer_(std::move(writer)), counters_(std::move(counters)), readers_(path) {}

  Status commit(const Batch& batch) override;
  Status load(engine::State& state) override;
  Result<std::optional<JobId>> findRequest(const std::string& request_id) override;
  Result<JobRow> job(JobId id) override;
  Result<std::vector<std::optional<JobRow>>> jobsById(std::span<const JobId> ids) override;
  Result<std::string> jobSpec(JobId id) override;
  Result<std::vector<JobRow>> jobs(const JobQuery& query) override;
  Result<std::int64_t> countJobs(bool finished) override {
    return counter(finished ? kFinished : kUnfinished);
  }
  Result<std::int64_t> countUnfinished(const std::string& queue) override {
    return counter(queueCounter(queue));
  }
  Result<std::vector<MachineRow>> machines(int most_gone) override;
  Result<MachineRow> machine(MachineId id) override;
  Result<std::vector<engine::Pool>> pools() override;
  Result<std::vector<engine::Queue>> queues() override;
  Result<std::vector<RecordRow>> records(JobId job, MachineId machine, std::int64_t after_seq,
                                         int limit) override;
  Result<std::vector<engine::Span>> spans(JobId job) override;
  Result<std::vector<engine::MarketEvent>> market(const std::string& pool, Time before, int limit) override;
  Result<std::vector<MetricPoint>> metrics(JobId job, int limit) override;
  Result<std::vector<Resource>> resources() override;
  Result<std::optional<std::string>> value(const std::string& key) override;
  Status putValue(const std::string& key, const std::string& value) override;
  Result<Time> latestTime() override;

 private:
  Status writeJobs(const Batch& batch, Counters& counters);
  Status writeJob(const engine::Job& job, Counters& counters);
  Status writeDocuments(const std::vector<JobDocument>& documents);
  Status writeMachines(const Batch& batch, Counters& counters);
  Status writePoolsAndQueues(const Batch& batch);
  Status writeRecord(const engine::Record& record, const std::string& source, Counters& counters);
  Status writeRecords(const Batch& batch, Counters& counters);
  Status writeSpans(const std::vector<engine::Span>& spans);
  Status writeMarket(const std::vector<engine::MarketEvent>& events);
  Status writeMetrics(const std::vector<MetricPoint>& metrics);
  Status writeResources(const std::vector<Resource>& resources);
  Status writeCounters(const Counters& counters);
  Result<std::vector<JobRow>> jobsOfQueue(const JobQuery& query);
  Result<std::int64_t> counter(const std::string& name);

  os::Fd lock_;
  // Guards the writing connection: commits come from one thread, but a setting may be put from another.
  std::mutex write_mutex_;
  Database writer_;
  Counters counters_;  // as committed
  ReaderPool readers_;
};

Status SqliteStore::commit(const Batch& batch) {
  const std::lock_guard guard(write_mutex_);
  Counters counters = counters_;
  BUOY_TRY(Transaction transaction, Transaction::begin(writer_));
  BUOY_TRY_VOID(writeJobs(batch, counters));
  BUOY_TRY_VOID(writeDocuments(batch.documents));
  BUOY_TRY_VOID(writeMachines(batch, counters));
  BUOY_TRY_VOID(writePoolsAndQueues(batch));
  BUOY_TRY_VOID(writeRecords(batch, counters));
  BUOY_TRY_VOID(writeSpans(batch.changes->spans));
  BUOY_TRY_VOID(writeMarket(batch.changes->market));
  BUOY_TRY_VOID(writeMetrics(batch.metrics));
  BUOY_TRY_VOID(writeResources(batch.resources));
  BUOY_TRY_VOID(writeCounters(counters));
  BUOY_TRY_VOID(transaction.commit());
  counters_ = std::move(counters);
  return {};
}

Status SqliteStore::writeJobs(const Batch& batch, Counters& counters) {
  for (const JobId id : batch.changes->jobs) {
    const engine::Job* job = batch.state->job(id);
    BUOY_CHECK(job != nullptr);
    BUOY_TRY_VOID(writeJob(*job, counters));
  }
  return {};
}

Status SqliteStore::writeJob(const engine::Job& job, Counters& counters) {
  const bool finished = engine::isTerminal(job.phase);
  const auto id = static_cast<std::int64_t>(job.id.value);
  const std::string record = encodeJob(job);
  bool made = id > counters[kLastJob];
  if (job.parent) {  // its id was set aside when the array was made
    Query before = writer_.query("SELECT 1 FROM jobs WHERE id = ?");
    BUOY_TRY(const bool found, before.bind(id).next());
    made = !found;
  }
  if (made) {
    counters[kLastJob] = std::max(counters[kLastJob], id + job.request.array);
    ++counters[finished ? kFinished : kUnfinished];
    if (!finished) ++counters[queueCounter(job.request.queue)];
    return writer_
        .query(
            "INSERT INTO jobs (id, finished, name, record, queue, phase, parent) VALUES (?, ?, ?, ?, ?, ?, "
            "?)")
        .bind(id)
        .bind(finished ? 1 : 0)
        .bind(job.request.name)
        .bind(record)
        .bind(job.request.queue)
        .bind(engine::toString(job.phase))
        .bind(job.parent.value)
        .run();
  }
  if (!finished) {
    return writer_.query("UPDATE jobs SET record = ?, phase = ? WHERE id = ?")
        .bind(record)
        .bind(engine::toString(job.phase))
        .bind(id)
        .run();
  }
  bool was_unfinished = false;
  {
    Query before = writer_.query("SELECT finished FROM jobs WHERE id = ?");
    BUOY_TRY(const bool found, before.bind(id).next());
    was_unfinished = found && before.integer(0) == 0;
  }
  if (was_unfinished) {
    --counters[kUnfinished];
    ++counters[kFinished];
    --counters[queueCounter(job.request.queue)];
  }
  return writer_.query("UPDATE jobs SET finished = 1, record = ?, phase = ? WHERE id = ?")
      .bind(record)
      .bind(engine::toString(job.phase))
      .bind(id)
      .run();
}

Status SqliteStore::writeDocuments(const std::vector<JobDocument>& documents) {
  for (const JobDocument& document : documents) {
    BUOY_TRY_VOID(writer_.query("INSERT INTO specs (job, spec) VALUES (?, ?)")
                      .bind(document.job.value)
                      .bind(document.spec)
                      .run());
    if (document.request_id.empty()) continue;
    BUOY_TRY_VOID(writer_.query("INSERT INTO requests (request_id, job) VALUES (?, ?)")
                      .bind(document.request_id)
                      .bind(document.job.value)
                      .run());
  }
  return {};
}

Status SqliteStore::writeMachines(const Batch& batch, Counters& counters) {
  for (const MachineId id : batch.changes->machines) {
    const engine::Machine* machine = batch.state->machine(id);
    BUOY_CHECK(machine != nullptr);
    const bool gone = machine->phase == engine::MachinePhase::gone;
    const std::string record = encodeMachine(*machine);
    BUOY_TRY_VOID(
        writer_
            .query("INSERT INTO machines (id, gone, record) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
                   "SET gone = excluded.gone, record = excluded.record")
            .bind(id.value)
            .bind(gone ? 1 : 0)
            .bind(record)
            .run());
    auto& last = counters[kLastMachine];
    last = std::max(last, static_cast<std::int64_t>(id.value));
  }
  return {};
}

Status SqliteStore::writePoolsAndQueues(const Batch& batch) {
  for (const std::string& name : batch.changes->pools) {
    const engine::Pool* pool = batch.state->pool(name);
    if (pool == nullptr) {
      BUOY_TRY_VOID(writer_.query("DELETE FROM pools WHERE name = ?").bind(name).run());
      continue;
    }
    const std::string record = encodePool(*pool);
    BUOY_TRY_VOID(writer_.query("INSERT OR REPLACE INTO pools (name, record) VALUES (?, ?)")
                      .bind(name)
                      .bind(record)
                      .run());
  }
  for (const std::string& name : batch.changes->queues) {
    const engine::Queue* queue = batch.state->queue(name);
    if (queue == nullptr) {
      BUOY_TRY_VOID(writer_.query("DELETE FROM queues WHERE name = ?").bind(name).run());
      continue;
    }
    const std::string record = encodeQueue(*queue);
    BUOY_TRY_VOID(writer_.query("INSERT OR REPLACE INTO queues (name, record) VALUES (?, ?)")
                      .bind(name)
                      .bind(record)
                      .run());
  }
  return {};
}

Status SqliteStore::writeRecord(const engine::Record& record, const std::string& source, Counters& counters) {
  auto& latest = counters[kLatestTime];
  latest = std::max(latest, microseconds(record.at));
  const std::string candidates =
      record.candidates.empty() ? std::string() : encodeCandidates(record.candidates);
  const std::string decision = record.decision ? encodeDecision(*record.decision) : std::string();
  Query insert = writer_.query(
      "INSERT OR IGNORE INTO records (at, job, machine, attempt, kind, detail, candidates, source, decision) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(microseconds(record.at)).bind(record.job.value).bind(record.machine.value).bind(record.attempt);
  insert.bind(record.kind).bind(record.detail);
  if (candidates.empty())
    insert.bindNull();
  else
    insert.bind(candidates);
  if (source.empty())
    insert.bindNull();
  else
    insert.bind(source);
  if (decision.empty())
    insert.bindNull();
  else
    insert.bind(decision);
  return insert.run();
}

Status SqliteStore::writeRecords(const Batch& batch, Counters& counters) {
  for (const engine::Record& record : batch.changes->records)
    BUOY_TRY_VOID(writeRecord(record, {}, counters));
  for (const AgentRecord& told : batch.agent_records) {
    const std::string source = strCat({told.record.machine.toString(), ".", told.record.job.toString(), ".",
                                       std::to_string(told.epoch), ".", std::to_string(told.number)});
    BUOY_TRY_VOID(writeRecord(told.record, source, counters));
  }
  return {};
}

Status SqliteStore::writeSpans(const std::vector<engine::Span>& spans) {
  for (const engine::Span& span : spans) {
    BUOY_TRY_VOID(
        writer_
            .query("INSERT INTO spans (machine, job, attempt, use, begin_at, end_at, price, on_demand_price, "
                   "amount) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(span.machine.value)
            .bind(span.job.value)
            .bind(span.attempt)
            .bind(engine::toString(span.use))
            .bind(microseconds(span.begin))
            .bind(microseconds(span.end))
            .bind(span.price.nano_usd)
            .bind(span.on_demand_price.nano_usd)
            .bind(span.amount.nano_usd)
            .run());
  }
  return {};
}

Status SqliteStore::writeMarket(const std::vector<engine::MarketEvent>& events) {
  for (const engine::MarketEvent& event : events) {
    BUOY_TRY_VOID(writer_.query("INSERT INTO market (pool, at, what, lived, taken) VALUES (?, ?, ?, ?, ?)")
                      .bind(event.pool)
                      .bind(microseconds(event.at))
                      .bind(engine::toString(event.what))
                      .bind(event.lived.count())
                      .bind(event.taken)
                      .run());
  }
  return {};
}

Status SqliteStore::writeMetrics(const std::vector<MetricPoint>& metrics) {
  for (const MetricPoint& point : metrics) {
    BUOY_TRY_VOID(writer_
                      .query("INSERT OR IGNORE INTO metrics (job, attempt, machine, seq, name, at, value) "
                             "VALUES (?, ?, ?, ?, ?, ?, ?)")
                      .bind(point.job.value)
                      .bind(point.attempt)
                      .bind(point.machine.value)
                      .bind(point.seq)
                      .bind(point.name)
                      .bind(microseconds(point.at))
                      .bind(point.value)
                      .run());
  }
  return {};
}

Status SqliteStore::writeResources(const std::vector<Resource>& resources) {
  for (const Resource& resource : resources) {
    if (resource.body.empty()) {
      BUOY_TRY_VOID(writer_.query("DELETE FROM resources WHERE kind = ? AND name = ?")
                        .bind(resource.kind)
                        .bind(resource.name)
                        .run());
      continue;
    }
    BUOY_TRY_VOID(writer_.query("INSERT OR REPLACE INTO resources (kind, name, body) VALUES (?, ?, ?)")
                      .bind(resource.kind)
                      .bind(resource.name)
                      .bind(resource.body)
                      .run());
  }
  return {};
}

Status SqliteStore::writeCounters(const Counters& counters) {
  for (const auto& [name, value] : counters) {
    const auto before = counters_.find(name);
    if (before != counters_.end() && before->second == value) continue;
    BUOY_TRY_VOID(writer_.query("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)")
                      .bind(name)
                      .bind(value)
                      .run());
  }
  return {};
}

template <class T>
Status restoreAll(Database& db, const char* sql, Result<T> (*decode)(std::string_view),
                  engine::State& state) {
  Query query = db.query(sql);
  for (;;) {
    BUOY_TRY(const bool row, query.next());
    if (!row) return {};
    BUOY_TRY(T value, decode(query.text(0)));
    state.restore(std::move(value));
  }
}

Status SqliteStore::load(engine::State& state) {
  const std::lock_guard guard(write_mutex_);
  BUOY_TRY_VOID(restoreAll(writer_, "SELECT record FROM pools ORDER BY name", decodePool, state));
  BUOY_TRY_VOID(restoreAll(writer_, "SELECT record FROM queues ORDER BY name", decodeQueue, state));
  BUOY_TRY_VOID(
      restoreAll(writer_, "SELECT record FROM jobs WHERE finished = 0 ORDER BY id", decodeJob, state));
  BUOY_TRY_VOID(
      restoreAll(writer_, "SELECT record FROM machines WHERE gone = 0 ORDER BY id", decodeMachine, state));
  state.setNextIds(static_cast<std::uint64_t>(counters_[kLastJob]) + 1,
                   static_cast<std::uint64_t>(counters_[kLastMachine]) + 1);
  return {};
}

Result<std::int64_t> SqliteStore::counter(const std::string& name) {
  return readers_.with([&](Database& db) -> Result<std::int64_t> {
    Query query = db.query("SELECT value FROM counters WHERE name = ?");
    BUOY_TRY(const bool row, query.bind(name).next());
    return row ? query.integer(0) : 0;
  });
}

Result<std::optional<JobId>> SqliteStore::findRequest(const std::string& request_id) {
  return readers_.with([&](Database& db) -> Result<std::optional<JobId>> {
    Query query = db.query("SELECT job FROM requests WHERE request_id = ?");
    BUOY_TRY(const bool row, query.bind(request_id).next());
    if (!row) return std::optional<JobId>();
    return std::optional<JobId>(JobId{query.natural(0)});
  });
}

Result<std::optional<JobRow>> readJob(Database& db, JobId id) {
  Query query = db.query(
      "SELECT record, spec FROM jobs LEFT JOIN specs ON specs.job = IIF(jobs.parent = 0, jobs.id, "
      "jobs.parent) "
      "WHERE jobs.id = ?");
  BUOY_TRY(const bool row, query.bind(id.value).next());
  if (!row) return std::optional<JobRow>();
  return std::optional<JobRow>({id, std::string(query.text(0)), std::string(query.text(1))});
}

Result<JobRow> SqliteStore::job(JobId id) {
  return readers_.with([&](Database& db) -> Result<JobRow> {
    BUOY_TRY(std::optional<JobRow> row, readJob(db, id));
    if (!row) return fail(ErrorCode::not_found, "there is no job " + id.toString());
    return std::move(*row);
  });
}

Result<std::vector<std::optional<JobRow>>> SqliteStore::jobsById(std::span<const JobId> ids) {
  return readers_.with([&](Database& db) -> Result<std::vector<std::optional<JobRow>>> {
    BUOY_TRY(const Transaction all, Transaction::beginRead(db));
    std::vector<std::optional<JobRow>> rows;
    rows.reserve(ids.size());
    for (const JobId id : ids) {
      BUOY_TRY(std::optional<JobRow> row, readJob(db, id));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

Result<std::string> SqliteStore::jobSpec(JobId id) {
  return readers_.with([&](Database& db) -> Result<std::string> {
    Query query = db.query(
        "SELECT spec FROM specs WHERE job = COALESCE((SELECT NULLIF(parent, 0) FROM jobs WHERE id = ?1), "
        "?1)");
    BUOY_TRY(const bool row, query.bind(id.value).next());
    if (!row) return fail(ErrorCode::not_found, "there is no job " + id.toString());
    return std::string(query.text(0));
  });
}

// A range of the index for each phase, put together newest first.
Result<std::vector<JobRow>> SqliteStore::jobsOfQueue(const JobQuery& query) {
  return readers_.with([&](Database& db) -> Result<std::vector<JobRow>> {
    std::vector<engine::JobPhase> phases = query.phases;
    for (int phase = 0; query.phases.empty() && phase <= static_cast<int>(engine::JobPhase::timed_out);
         ++phase)
      phases.push_back(static_cast<engine::JobPhase>(phase));
    std::vector<JobRow> rows;
    for (const engine::JobPhase phase : phases) {
      Query select = db.query(
          "SELECT id, record FROM jobs WHERE queue = ? AND phase = ? AND id < ? AND (? OR parent = 0) "
          "ORDER BY id DESC LIMIT ?");
      select.bind(query.queue).bind(engine::toString(phase));
      select.bind(query.before ? static_cast<std::int64_t>(query.before.value)
                               : std::numeric_limits<std::int64_t>::max());
      select.bind(query.no_tasks ? 0 : 1).bind(query.limit);
      for (;;) {
        BUOY_TRY(const bool row, select.next());
        if (!row) break;
        rows.push_back({JobId{select.natural(0)}, std::string(select.text(1)), {}});
      }
    }
    std::sort(rows.begin(), rows.end(), [](const JobRow& a, const JobRow& b) { return a.id > b.id; });
    if (rows.size() > static_cast<std::size_t>(query.limit))
      rows.resize(static_cast<std::size_t>(query.limit));
    return rows;
  });
}

Result<std::vector<JobRow>> SqliteStore::jobs(const JobQuery& query) {
  if (!query.queue.empty()) return jobsOfQueue(query);
  return readers_.with([&](Database& db) -> Result<std::vector<JobRow>> {
    // One text for each index, so that every listing is a range of one of them.
    const char* sql =
        !query.name.empty() ? "SELECT id, record FROM jobs WHERE name = ?3 AND id < ?1 AND (?4 < 0 OR "
                              "finished = ?4) ORDER BY id DESC LIMIT ?2"
        : query.finished
            ? "SELECT id, record FROM jobs WHERE finished = ?4 AND id < ?1 AND ?3 = '' ORDER BY id DESC "
              "LIMIT ?2"
            : "SELECT id, record FROM jobs WHERE id < ?1 AND ?3 = '' AND ?4 < 0 ORDER BY id DESC LIMIT ?2";
    Query select = db.query(sql);
    select.bind(query.before ? static_cast<std::int64_t>(query.before.value)
                             : std::numeric_limits<std::int64_t>::max());
    select.bind(query.limit).bind(query.name).bind(query.finished ? (*query.finished ? 1 : 0) : -1);
    std::vector<JobRow> rows;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return rows;
      rows.push_back({JobId{select.natural(0)}, std::string(select.text(1)), {}});
    }
  });
}

Result<std::vector<MachineRow>> SqliteStore::machines(int most_gone) {
  return readers_.with([&](Database& db) -> Result<std::vector<MachineRow>> {
    Query select =
        db.query(most_gone > 0 ? "SELECT id, record FROM machines WHERE gone = 0 OR id IN"
                                 " (SELECT id FROM machines WHERE gone = 1 ORDER BY id DESC LIMIT ?)"
                                 " ORDER BY id DESC"
                               : "SELECT id, record FROM machines WHERE gone = 0 ORDER BY id DESC");
    if (most_gone > 0) select.bind(most_gone);
    std::vector<MachineRow> rows;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return rows;
      rows.push_back({MachineId{select.natural(0)}, std::string(select.text(1))});
    }
  });
}

Result<MachineRow> SqliteStore::machine(MachineId id) {
  return readers_.with([&](Database& db) -> Result<MachineRow> {
    Query select = db.query("SELECT record FROM machines WHERE id = ?");
    BUOY_TRY(const bool row, select.bind(id.value).next());
    if (!row) return fail(ErrorCode::not_found, "there is no machine " + id.toString());
    return MachineRow{id, std::string(select.text(0))};
  });
}

template <class T>
Result<std::vector<T>> decodeAll(Database& db, const char* sql, Result<T> (*decode)(std::string_view)) {
  Query select = db.query(sql);
  std::vector<T> values;
  for (;;) {
    BUOY_TRY(const bool row, select.next());
    if (!row) return values;
    BUOY_TRY(T value, decode(select.text(0)));
    values.push_back(std::move(value));
  }
}

Result<std::vector<engine::Pool>> SqliteStore::pools() {
  return readers_.with(
      [](Database& db) { return decodeAll(db, "SELECT record FROM pools ORDER BY name", decodePool); });
}

Result<std::vector<engine::Queue>> SqliteStore::queues() {
  return readers_.with(
      [](Database& db) { return decodeAll(db, "SELECT record FROM queues ORDER BY name", decodeQueue); });
}

Result<std::vector<RecordRow>> SqliteStore::records(JobId job, MachineId machine, std::int64_t after_seq,
                                                    int limit) {
#define BUOY_RECORD_COLUMNS \
  "SELECT seq, at, job, machine, attempt, kind, detail, candidates, decision FROM records WHERE seq > ?1 "
  return readers_.with([&](Database& db) -> Result<std::vector<RecordRow>> {
    const char* sql = job ? BUOY_RECORD_COLUMNS
                          "AND job = ?3 AND job != 0 AND (?4 = 0 OR machine = ?4) ORDER BY seq LIMIT ?2"
                      : machine ? BUOY_RECORD_COLUMNS
                          "AND ?3 = 0 AND machine = ?4 AND machine != 0 ORDER BY seq LIMIT ?2"
                                : BUOY_RECORD_COLUMNS "AND ?3 = 0 AND ?4 = 0 ORDER BY seq LIMIT ?2";
    Query select = db.query(sql);
    select.bind(after_seq).bind(limit).bind(job.value).bind(machine.value);
    std::vector<RecordRow> rows;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return rows;
      RecordRow& found = rows.emplace_back();
      found.seq = select.integer(0);
      found.record.at = timeOf(select.integer(1));
      found.record.job = JobId{select.natural(2)};
      found.record.machine = MachineId{select.natural(3)};
      found.record.attempt = static_cast<std::uint32_t>(select.integer(4));
      found.record.kind = select.text(5);
      found.record.detail = select.text(6);
      if (!select.isNull(7)) {
        BUOY_TRY(found.record.candidates, decodeCandidates(select.text(7)));
      }
      if (select.isNull(8)) continue;
      BUOY_TRY(engine::Record::Decision decision, decodeDecision(select.text(8)));
      found.record.decision = std::make_shared<const engine::Record::Decision>(std::move(decision));
    }
  });
#undef BUOY_RECORD_COLUMNS
}

Result<std::vector<engine::Span>> SqliteStore::spans(JobId job) {
  return readers_.with([&](Database& db) -> Result<std::vector<engine::Span>> {
    Query select = db.query(
        "SELECT machine, attempt, use, begin_at, end_at, price, on_demand_price, amount FROM spans "
        "WHERE job = ? ORDER BY begin_at, id");
    select.bind(job.value);
    std::vector<engine::Span> spans;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return spans;
      const auto use = engine::fromString<engine::Use>(select.text(2));
      if (!use) return fail(ErrorCode::data_loss, "stored span is damaged: unknown use");
      spans.push_back({MachineId{select.natural(0)}, job, static_cast<std::uint32_t>(select.integer(1)), *use,
                       timeOf(select.integer(3)), timeOf(select.integer(4)), PricePerHour{select.integer(5)},
                       PricePerHour{select.integer(6)}, Money{select.integer(7)}});
    }
  });
}

Result<std::vector<engine::MarketEvent>> SqliteStore::market(const std::string& pool, Time before,
                                                             int limit) {
  return readers_.with([&](Database& db) -> Result<std::vector<engine::MarketEvent>> {
    Query select = db.query(
        "SELECT at, what, lived, taken FROM (SELECT * FROM market WHERE pool = ? AND at < ? "
        "ORDER BY at DESC, id DESC LIMIT ?) ORDER BY at, id");
    select.bind(pool).bind(microseconds(before)).bind(limit);
    std::vector<engine::MarketEvent> events;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return events;
      const auto what = engine::fromString<engine::MarketEvent::What>(select.text(1));
      if (!what) return fail(ErrorCode::data_loss, "stored market is damaged: unknown event");
      events.push_back(
          {pool, timeOf(select.integer(0)), *what, Duration{select.integer(2)}, select.integer(3) != 0});
    }
  });
}

Result<std::vector<MetricPoint>> SqliteStore::metrics(JobId job, int limit) {
  return readers_.with([&](Database& db) -> Result<std::vector<MetricPoint>> {
    Query select = db.query(
        "SELECT attempt, machine, seq, name, at, value FROM (SELECT * FROM metrics WHERE job = ? "
        "ORDER BY attempt DESC, seq DESC, at DESC LIMIT ?) ORDER BY attempt, seq, at");
    select.bind(job.value).bind(limit);
    std::vector<MetricPoint> points;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return points;
      points.push_back({job, static_cast<std::uint32_t>(select.integer(0)), MachineId{select.natural(1)},
                        select.natural(2), std::string(select.text(3)), timeOf(select.integer(4)),
                        select.isNull(5) ? std::numeric_limits<double>::quiet_NaN() : select.real(5)});
    }
  });
}

Result<std::vector<Resource>> SqliteStore::resources() {
  return readers_.with([](Database& db) -> Result<std::vector<Resource>> {
    Query select = db.query("SELECT kind, name, body FROM resources ORDER BY kind, name");
    std::vector<Resource> all;
    for (;;) {
      BUOY_TRY(const bool row, select.next());
      if (!row) return all;
      all.push_back({std::string(select.text(0)), std::string(select.text(1)), std::string(select.text(2))});
    }
  });
}

Result<std::optional<std::string>> SqliteStore::value(const std::string& key) {
  return readers_.with([&](Database& db) -> Result<std::optional<std::string>> {
    Query select = db.query("SELECT value FROM settings WHERE key = ?");
    BUOY_TRY(const bool row, select.bind(key).next());
    if (!row) return std::optional<std::string>();
    return std::optional<std::string>(select.text(0));
  });
}

Status SqliteStore::putValue(const std::string& key, const std::string& value) {
  const std::lock_guard guard(write_mutex_);
  return writer_.query("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)")
      .bind(key)
      .bind(value)
      .run();
}

Result<Time> SqliteStore::latestTime() {
  BUOY_TRY(const std::int64_t latest, counter(kLatestTime));
  return timeOf(latest);
}

Result<Counters> loadCounters(Database& db) {
  Counters counters;
  Query select = db.query("SELECT name, value FROM counters");
  for (;;) {
    BUOY_TRY(const bool row, select.next());
    if (!row) return counters;
    counters[std::string(select.text(0))] = select.integer(1);
  }
}

}  // namespace

Result<std::unique_ptr<Store>> openSqliteStore(const std::string& path) {
  BUOY_TRY(os::Fd lock, takeLockFile(path + ".lock"));
  // Created here for its mode; SQLite gives its side files the mode of the database.
  BUOY_TRY_VOID(os::openFile(path, O_RDWR | O_CREAT, 0600));
  BUOY_TRY(Database writer, Database::open(path, Database::Mode::read_write));
  // FULL in WAL mode syncs the log at every commit: what was answered survives a power cut. The log is folded
  // back every 16 MiB, which keeps that work rare beside the commits.
  BUOY_TRY_VOID(writer.execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000; "
      "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192"));
  BUOY_TRY_VOID(migrate(writer));
  BUOY_TRY(Counters counters, loadCounters(writer));
  return std::make_unique<SqliteStore>(std::move(lock), std::move(writer), std::move(counters), path);
}

}  // namespace buoy::store
