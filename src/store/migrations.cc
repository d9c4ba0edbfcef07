#include "store/migrations.h"

#include <array>
#include <string>

#include "base/strings.h"

namespace buoy::store {
namespace {

// Ids are stored as integers. `record` columns hold JSON, see docs/formats/state.md.
constexpr const char* kFirst = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  finished INTEGER NOT NULL,
  name TEXT NOT NULL,
  record TEXT NOT NULL
);
CREATE INDEX jobs_by_finished ON jobs (finished, id);
CREATE INDEX jobs_by_name ON jobs (name, id);

-- Apart from jobs, so that listings do not read specifications and phase changes do not rewrite them.
CREATE TABLE specs (job INTEGER PRIMARY KEY, spec TEXT NOT NULL);
CREATE TABLE requests (request_id TEXT PRIMARY KEY, job INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE machines (id INTEGER PRIMARY KEY, gone INTEGER NOT NULL, record TEXT NOT NULL);
CREATE INDEX machines_by_gone ON machines (gone, id);
CREATE TABLE pools (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE queues (name TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE records (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  job INTEGER NOT NULL,
  machine INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  candidates TEXT,
  source TEXT
);
CREATE INDEX records_by_job ON records (job, seq) WHERE job != 0;
CREATE INDEX records_by_machine ON records (machine, seq) WHERE machine != 0;
-- What an agent tells twice is kept once.
CREATE UNIQUE INDEX records_by_source ON records (source) WHERE source IS NOT NULL;

CREATE TABLE spans (
  id INTEGER PRIMARY KEY,
  machine INTEGER NOT NULL,
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  use TEXT NOT NULL,
  begin_at INTEGER NOT NULL,
  end_at INTEGER NOT NULL,
  price INTEGER NOT NULL,
  on_demand_price INTEGER NOT NULL
);
CREATE INDEX spans_by_job ON spans (job, begin_at);

CREATE TABLE metrics (
  job INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  machine INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  value REAL,
  PRIMARY KEY (job, attempt, machine, seq)
) WITHOUT ROWID;

CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)sql";

// What a placement policy was shown (docs/adr/0007).
constexpr const char* kDecisions = "ALTER TABLE records ADD COLUMN decision TEXT";

// What front doors keep.
constexpr const char* kResources =
    "CREATE TABLE resources (kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, "
    "PRIMARY KEY (kind, name)) WITHOUT ROWID";

// Listings of a queue's jobs by what they do.
constexpr const char* kJobsByQueue = R"sql(
ALTER TABLE jobs ADD COLUMN queue TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN phase TEXT NOT NULL DEFAULT '';
UPDATE jobs SET queue = COALESCE(json_extract(record, '$.request.queue'), ''),
  phase = COALESCE(json_extract(record, '$.phase'), '');
CREATE INDEX jobs_by_queue ON jobs (queue, phase, id);
)sql";

// Tasks of arrays: their specification is the array's.
constexpr const char* kTasks = "ALTER TABLE jobs ADD COLUMN parent INTEGER NOT NULL DEFAULT 0";

// What happened to pools' spot capacity, for spot policies to learn from.
constexpr const char* kMarket = R"sql(
CREATE TABLE market (
  id INTEGER PRIMARY KEY,
  pool TEXT NOT NULL,
  at INTEGER NOT NULL,
  what TEXT NOT NULL,
  lived INTEGER NOT NULL,
  taken INTEGER NOT NULL
);
CREATE INDEX market_by_pool ON market (pool, at);
)sql";

// What a machine's end adds to the price of its time, or takes back of it.
constexpr const char* kAmounts = "ALTER TABLE spans ADD COLUMN amount INTEGER NOT NULL DEFAULT 0";

// Jobs with storage are submitted as `alone` since machines are shared; those that were before wait as such,
// too.
constexpr const char* kStorageAlone = R"sql(
UPDATE jobs SET record = json_set(record, '$.request.alone', json('true'))
WHERE finished = 0 AND EXISTS (
  SELECT 1 FROM specs WHERE specs.job = CASE jobs.parent WHEN 0 THEN jobs.id ELSE jobs.parent END
  AND CASE WHEN json_valid(spec) THEN json_type(spec, '$.volumes') = 'array' OR json_type(spec, '$.file_systems') = 'array' END);
)sql";

constexpr std::array kMigrations{kFirst, kDecisions, kResources, kJobsByQueue,
                                 kTasks, kMarket,    kAmounts,   kStorageAlone};

}  // namespace

std::span<const char* const> migrations() {
  return kMigrations;
}

Status migrate(Database& db) {
  BUOY_TRY(std::int64_t version, db.integer("PRAGMA user_version"));
  const auto newest = static_cast<std::int64_t>(kMigrations.size());
  if (version > newest) {
    return fail(ErrorCode::failed_precondition,
                strCat({"the state was written by a newer version of buoy (format ", std::to_string(version),
                        ", this one knows ", std::to_string(newest), "); use that version"}));
  }
  for (; version < newest; ++version) {
    BUOY_TRY(Transaction transaction, Transaction::begin(db));
    BUOY_TRY_VOID(db.execute(kMigrations[static_cast<std::size_t>(version)]));
    BUOY_TRY_VOID(db.execute("PRAGMA user_version = " + std::to_string(version + 1)));
    BUOY_TRY_VOID(transaction.commit());
  }
  return {};
}

}  // namespace buoy::store
