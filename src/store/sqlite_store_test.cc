#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "base/strings.h"
#include "os/files.h"
#include "store/codec.h"
#include "store/database.h"
#include "store/store.h"

namespace buoy::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A store and the state that its commits read; jobs and machines are put into the state by hand.
class SqliteStoreTest : public testing::Test {
 protected:
  void open() {
    store_.reset();
    auto opened = openSqliteStore(path_);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  void SetUp() override { open(); }

  static engine::Job makeJob(std::uint64_t id, engine::JobPhase phase = engine::JobPhase::queued) {
    engine::Job job;
    job.id = JobId{id};
    job.request.name = "job-" + std::to_string(id);
    job.phase = phase;
    return job;
  }

  // Commits jobs as if the engine had changed them.
  Status commitJobs(std::vector<engine::Job> jobs, std::vector<JobDocument> documents = {}) {
    engine::State state;
    engine::Changes changes;
    for (engine::Job& job : jobs) {
      changes.jobs.push_back(job.id);
      state.restore(std::move(job));
    }
    return store_->commit({&state, &changes, std::move(documents), {}, {}, {}});
  }
  Status commitJob(engine::Job job) {
    std::vector<engine::Job> jobs;
    jobs.push_back(std::move(job));
    return commitJobs(std::move(jobs));
  }
  Status commitChanges(const engine::Changes& changes, std::vector<MetricPoint> metrics = {},
                       std::vector<AgentRecord> told = {}) {
    const engine::State state;
    return store_->commit({&state, &changes, {}, std::move(metrics), std::move(told), {}});
  }

  os::TempDir dir_ = *os::TempDir::create("buoy-store-");
  std::string path_ = dir_.path() + "/state.db";
  std::unique_ptr<Store> store_;
};

TEST_F(SqliteStoreTest, JobsComeBackAfterReopening) {
  ASSERT_TRUE(commitJobs(
      [] {
        std::vector<engine::Job> jobs;
        jobs.push_back(makeJob(1));
        jobs.push_back(makeJob(2));
        return jobs;
      }(),
      {{JobId{1}, "{\"run\":\"a\"}", "request-1"}, {JobId{2}, "{}", ""}}));
  open();
  engine::State state;
  ASSERT_TRUE(store_->load(state));
  EXPECT_EQ(state.jobCount(), 2u);
  EXPECT_EQ(*store_->jobSpec(JobId{1}), "{\"run\":\"a\"}");
  EXPECT_EQ(store_->findRequest("request-1")->value(), JobId{1});
  EXPECT_FALSE(store_->findRequest("request-2")->has_value());
  EXPECT_EQ(store_->job(JobId{9}).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->jobSpec(JobId{9}).error().code, ErrorCode::not_found);
  const std::vector<JobId> ids{JobId{2}, JobId{9}, JobId{1}};
  const auto rows = store_->jobsById(ids);
  ASSERT_TRUE(rows && rows->size() == 3);
  EXPECT_FALSE((*rows)[1]);
  EXPECT_EQ((*rows)[2]->spec, "{\"run\":\"a\"}");
  EXPECT_EQ((*rows)[0]->record, store_->job(JobId{2})->record);
  ASSERT_TRUE(commitJob(makeJob(3)));
  EXPECT_TRUE(store_->jobsById({ids.data(), 0})->empty());
  EXPECT_TRUE(store_->job(JobId{3})) << "its reader holds no old commit";
}

TEST_F(SqliteStoreTest, CountersFollowTheJobs) {
  ASSERT_TRUE(commitJob(makeJob(1)));
  ASSERT_TRUE(commitJob(makeJob(2)));
  ASSERT_TRUE(commitJob(makeJob(3, engine::JobPhase::cancelled)));
  ASSERT_TRUE(commitJob(makeJob(1, engine::JobPhase::running)));
  ASSERT_TRUE(commitJob(makeJob(1, engine::JobPhase::succeeded)));
  ASSERT_TRUE(commitJob(makeJob(1, engine::JobPhase::succeeded)));
  EXPECT_EQ(*store_->countJobs(false), 1);
  EXPECT_EQ(*store_->countJobs(true), 2);
  EXPECT_EQ(*store_->countUnfinished("default"), 1);
  open();
  engine::State state;
  ASSERT_TRUE(store_->load(state));
  EXPECT_EQ(state.jobCount(), 1u) << "finished jobs stay in the database";
  EXPECT_EQ(*store_->countJobs(true), 2);
}

TEST_F(SqliteStoreTest, ListingsAreNewestFirstAndPaged) {
  for (std::uint64_t id = 1; id <= 5; ++id) {
    engine::Job job = makeJob(id, id % 2 == 0 ? engine::JobPhase::failed : engine::JobPhase::queued);
    if (id >= 4) job.request.name = "same";
    ASSERT_TRUE(commitJob(std::move(job)));
  }
  const auto ids = [&](const JobQuery& query) {
    std::vector<std::uint64_t> found;
    const auto rows = store_->jobs(query);
    for (const JobRow& row : *rows) found.push_back(row.id.value);
    return found;
  };
  EXPECT_THAT(ids({}), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(ids({.finished = {}, .name = {}, .before = JobId{4}, .limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(ids({.finished = false, .name = {}, .before = {}, .limit = 2}), ElementsAre(5, 3));
  EXPECT_THAT(ids({.finished = true, .name = {}, .before = {}}), ElementsAre(4, 2));
  EXPECT_THAT(ids({.finished = {}, .name = "same", .before = {}}), ElementsAre(5, 4));
  EXPECT_THAT(ids({.finished = true, .name = "same", .before = {}}), ElementsAre(4));
  EXPECT_THAT(ids({.finished = {}, .name = "none", .before = {}}), ElementsAre());
}

TEST_F(SqliteStoreTest, MachinesPoolsAndQueuesAreKept) {
  engine::State state;
  engine::Machine machine;
  machine.id = MachineId{7};
  machine.pool = "local";
  engine::Pool pool;
  pool.name = "local";
  engine::Queue queue;
  queue.name = "default";
  queue.pools = {"local"};
  state.restore(pool);
  state.restore(queue);
  state.restore(std::move(machine));
  engine::Changes changes;
  engine::Machine gone;
  gone.id = MachineId{9};
  gone.pool = "local";
  gone.phase = engine::MachinePhase::gone;
  state.restore(std::move(gone));
  changes.machines = {MachineId{7}, MachineId{9}};
  changes.pools = {"local"};
  changes.queues = {"default"};
  ASSERT_TRUE(store_->commit({&state, &changes, {}, {}, {}, {}}));
  ASSERT_EQ(store_->machines(0)->size(), 1u) << "those that are there, all of them";
  EXPECT_EQ(store_->machines(0)->at(0).id, MachineId{7});
  EXPECT_EQ(store_->machines(1)->size(), 2u);
  EXPECT_EQ(decodeMachine(store_->machine(MachineId{7})->record)->pool, "local");
  EXPECT_EQ(store_->machine(MachineId{8}).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->pools()->at(0).name, "local");
  EXPECT_EQ(store_->queues()->at(0).pools, std::vector<std::string>{"local"});
  open();
  engine::State loaded;
  ASSERT_TRUE(store_->load(loaded));
  EXPECT_NE(loaded.machine(MachineId{7}), nullptr);
  EXPECT_NE(loaded.pool("local"), nullptr);
  EXPECT_NE(loaded.queue("default"), nullptr);
}

TEST_F(SqliteStoreTest, WhatDoorsKeepIsPutReplacedAndTakenAway) {
  const auto put = [&](std::vector<Resource> resources) {
    const engine::State state;
    const engine::Changes changes;
    return store_->commit({&state, &changes, {}, {}, {}, std::move(resources)});
  };
  ASSERT_TRUE(put({{"b", "2", "{}"}, {"a", "x", "1"}, {"b", "1", "{}"}}));
  ASSERT_TRUE(put({{"b", "2", ""}, {"a", "x", "2"}, {"c", "never was", ""}}));
  open();
  const auto all = store_->resources();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->at(0).body, "2");
  EXPECT_EQ(all->at(1).name, "1");
}

TEST_F(SqliteStoreTest, AQueueIsListedByPhaseAndWithoutTasks) {
  for (std::uint64_t id = 1; id <= 6; ++id) {
    engine::Job job = makeJob(id, id % 2 == 0 ? engine::JobPhase::running : engine::JobPhase::queued);
    job.request.queue = id == 6 ? "other" : "q";
    ASSERT_TRUE(commitJob(std::move(job)));
  }
  engine::Job ended = makeJob(2, engine::JobPhase::failed);
  ended.request.queue = "q";
  ASSERT_TRUE(commitJob(std::move(ended)));
  const auto ids = [&](JobQuery query) {
    query.queue = "q";
    std::vector<std::uint64_t> found;
    for (const JobRow& row : store_->jobs(query).value_or(std::vector<JobRow>()))
      found.push_back(row.id.value);
    return found;
  };
  using engine::JobPhase;
  EXPECT_THAT(ids({}), ElementsAre(5, 4, 3, 2, 1));
  EXPECT_THAT(ids({.phases = {JobPhase::queued}}), ElementsAre(5, 3, 1));
  EXPECT_THAT(ids({.phases = {JobPhase::running, JobPhase::failed}}), ElementsAre(4, 2));
  EXPECT_THAT(ids({.phases = {JobPhase::queued}, .before = JobId{5}, .limit = 1}), ElementsAre(3));
}

TEST_F(SqliteStoreTest, TasksHaveTheSpecificationOfTheirArray) {
  engine::Job array = makeJob(1);
  array.request.array = 3;
  array.array = std::make_unique<engine::ArrayState>(engine::ArrayState{"r..", 1, 0, 0, 1});
  std::vector<engine::Job> jobs;
  jobs.push_back(std::move(array));
  ASSERT_TRUE(commitJobs(std::move(jobs), {{JobId{1}, R"({"name":"x"})", ""}}));
  ASSERT_TRUE(commitJob(makeJob(5)));
  engine::Job task = makeJob(3);
  task.parent = JobId{1};
  task.index = 1;
  ASSERT_TRUE(commitJob(engine::clone(task))) << "its id is lower than the last one";
  task.phase = engine::JobPhase::succeeded;
  ASSERT_TRUE(commitJob(std::move(task)));
  EXPECT_EQ(store_->jobSpec(JobId{3}).value_or(""), R"({"name":"x"})");
  const auto row = store_->job(JobId{3});
  ASSERT_TRUE(row);
  EXPECT_EQ(row->spec, R"({"name":"x"})");
  EXPECT_EQ(decodeJob(row->record)->index, 1);
  EXPECT_EQ(*store_->countJobs(true), 1);
  EXPECT_EQ(*store_->countJobs(false), 2);
  open();
  engine::State state;
  ASSERT_TRUE(store_->load(state));
  EXPECT_EQ(state.job(JobId{1})->array->tasks, "r..");
  EXPECT_EQ(state.jobCount(), 2u);
}

TEST_F(SqliteStoreTest, RecordsAreFoundByJobAndByMachine) {
  engine::Changes changes;
  changes.records.push_back({Time{Duration{5}}, JobId{1}, {}, 0, "submitted", "by you", {}});
  changes.records.push_back({Time{Duration{6}},
                             JobId{1},
                             MachineId{2},
                             1,
                             "placed",
                             "on m2",
                             {{"local", "small", engine::Market::spot, {30}, 1.5, ""}}});
  engine::Pool pool;
  pool.name = "local";
  pool.types = {{"small", {1000, 0, ByteCount{1}}, {1'000}, {300}}};
  pool.spot_retry_at = Time{Duration{9}};
  engine::Record::Decision decision{
      .resources = {500, 1, ByteCount{2}}, .spot = engine::SpotPreference::only, .count = 3};
  decision.pools = {{std::make_shared<const engine::Pool>(pool), 4, 1, 2, true, false}};
  decision.machines = {MachineId{2}};
  changes.records.back().decision = std::make_shared<const engine::Record::Decision>(decision);
  changes.records.push_back({Time{Duration{7}}, JobId{2}, MachineId{2}, 1, "lost", "", {}});
  ASSERT_TRUE(commitChanges(changes));
  const auto of_job = store_->records(JobId{1}, {}, 0, 100);
  ASSERT_TRUE(of_job);
  ASSERT_EQ(of_job->size(), 2u);
  EXPECT_EQ((*of_job)[0].record.kind, "submitted");
  EXPECT_EQ((*of_job)[1].record.at, Time{Duration{6}});
  EXPECT_EQ((*of_job)[1].record.candidates.at(0).score, 1.5);
  EXPECT_EQ((*of_job)[0].record.decision, nullptr);
  ASSERT_NE((*of_job)[1].record.decision, nullptr);
  EXPECT_EQ(encodeDecision(*(*of_job)[1].record.decision), encodeDecision(decision));
  EXPECT_EQ((*of_job)[1].record.decision->pools.at(0).pool->spot_retry_at, Time{Duration{9}});
  EXPECT_EQ(store_->records(JobId{1}, {}, (*of_job)[0].seq, 100)->size(), 1u);
  EXPECT_EQ(store_->records({}, MachineId{2}, 0, 100)->size(), 2u);
  EXPECT_EQ(store_->records(JobId{2}, MachineId{2}, 0, 100)->size(), 1u);
  EXPECT_EQ(store_->records({}, {}, 0, 100)->size(), 3u);
  EXPECT_EQ(store_->records({}, {}, 0, 1)->size(), 1u);
  EXPECT_EQ(*store_->latestTime(), Time{Duration{7}});
}

TEST_F(SqliteStoreTest, WhatAnAgentTellsTwiceIsKeptOnce) {
  const engine::Record record{Time{}, JobId{1}, MachineId{2}, 1, "agent", "restored", {}};
  const MetricPoint point{JobId{1}, 1, MachineId{2}, 9, "loss", Time{}, NAN};
  ASSERT_TRUE(commitChanges({}, {point}, {{record, 1, 1}}));
  ASSERT_TRUE(commitChanges({}, {point}, {{record, 1, 1}, {record, 1, 2}, {record, 2, 1}}));
  EXPECT_EQ(store_->records(JobId{1}, {}, 0, 100)->size(), 3u);
  const auto points = store_->metrics(JobId{1}, 100);
  ASSERT_EQ(points->size(), 1u);
  EXPECT_TRUE(std::isnan(points->at(0).value));
  EXPECT_EQ(points->at(0).seq, 9u);
}

TEST_F(SqliteStoreTest, TheNewestMetricsComeInOrder) {
  std::vector<MetricPoint> points;
  for (std::uint64_t n = 1; n <= 10; ++n) {
    points.push_back({JobId{1}, 1, MachineId{1}, n, "loss", Time{Duration{static_cast<std::int64_t>(n)}},
                      static_cast<double>(n)});
  }
  ASSERT_TRUE(commitChanges({}, points));
  const auto found = store_->metrics(JobId{1}, 3);
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ(found->front().value, 8);
  EXPECT_EQ(found->back().value, 10);
}

TEST_F(SqliteStoreTest, SpansSurviveExactly) {
  engine::Changes changes;
  changes.spans.push_back(
      {MachineId{1}, JobId{2}, 3, engine::Use::redone, Time{Duration{1}}, Time{Duration{2}}, {5}, {6}});
  ASSERT_TRUE(commitChanges(changes));
  const auto spans = store_->spans(JobId{2});
  ASSERT_EQ(spans->size(), 1u);
  const engine::Span& span = spans->front();
  EXPECT_EQ(span.machine, MachineId{1});
  EXPECT_EQ(span.attempt, 3u);
  EXPECT_EQ(span.use, engine::Use::redone);
  EXPECT_EQ(span.end, Time{Duration{2}});
  EXPECT_EQ(span.on_demand_price, PricePerHour{6});
}

TEST_F(SqliteStoreTest, ValuesAreReplaced) {
  EXPECT_FALSE(store_->value("k")->has_value());
  ASSERT_TRUE(store_->putValue("k", "1"));
  ASSERT_TRUE(store_->putValue("k", "2"));
  EXPECT_EQ(store_->value("k")->value(), "2");
}

TEST_F(SqliteStoreTest, SecondServerIsRefusedAndToldByWhom) {
  const auto second = openSqliteStore(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(second.error().message, HasSubstr("process " + std::to_string(::getpid())));
}

TEST_F(SqliteStoreTest, NobodyElseMayReadIt) {
  ASSERT_TRUE(commitJob(makeJob(1)));
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat info {};
    ASSERT_EQ(::stat((path_ + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0077, 0u) << suffix;
  }
}

TEST_F(SqliteStoreTest, RequestIdsAreUniqueAndAFailedCommitLeavesNothing) {
  std::vector<engine::Job> first;
  first.push_back(makeJob(1));
  ASSERT_TRUE(commitJobs(std::move(first), {{JobId{1}, "{}", "same"}}));
  std::vector<engine::Job> second;
  second.push_back(makeJob(2));
  ASSERT_FALSE(commitJobs(std::move(second), {{JobId{2}, "{}", "same"}}));
  EXPECT_EQ(store_->job(JobId{2}).error().code, ErrorCode::not_found);
  EXPECT_EQ(*store_->countJobs(false), 1);
  ASSERT_TRUE(commitJob(makeJob(2))) << "the store goes on";
}

// A limit on file sizes stands in for a full disk; SQLite sees both as a failed write.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(SqliteStoreTest, FullStorageIsSaidAndTheSameCommitWorksOnceThereIsRoom) {
  ASSERT_TRUE(commitJob(makeJob(1)));
  engine::Changes changes;
  changes.records.push_back({Time{}, JobId{1}, {}, 0, "large", std::string(4 << 20, 'x'), {}});
  {
    const FileSizeLimit limit(1 << 20);
    const Status full = commitChanges(changes);
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, ErrorCode::resource_exhausted) << full.error().message;
    EXPECT_TRUE(full.error().retryable);
    EXPECT_TRUE(store_->records(JobId{1}, {}, 0, 10)->empty());
    EXPECT_EQ(*store_->countJobs(false), 1) << "reads go on";
  }
  ASSERT_TRUE(commitChanges(changes));
  EXPECT_EQ(store_->records(JobId{1}, {}, 0, 10)->size(), 1u);
}

TEST_F(SqliteStoreTest, StorageThatIsFullForASmallCommitIsSaidToo) {
  ASSERT_TRUE(commitJob(makeJob(1)));
  {
    // The log is longer than this already, and a small commit is written to it at its very end.
    const FileSizeLimit limit(4096);
    for (int n = 0; n < 2; ++n) {
      const Status full = commitJob(makeJob(2));
      ASSERT_FALSE(full);
      EXPECT_EQ(full.error().code, ErrorCode::resource_exhausted) << full.error().message;
    }
  }
  ASSERT_TRUE(commitJob(makeJob(2)));
  EXPECT_EQ(*store_->countJobs(false), 2);
}

TEST(DatabaseTest, FullStorageHasItsOwnCode) {
  const auto dir = os::TempDir::create("buoy-store-");
  auto db = Database::open(dir->path() + "/full.db", Database::Mode::read_write);
  ASSERT_TRUE(db);
  ASSERT_TRUE(db->execute("PRAGMA max_page_count = 4; CREATE TABLE t (x)"));
  const Status full = db->query("INSERT INTO t VALUES (zeroblob(1000000))").run();
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(full.error().retryable);
  EXPECT_THAT(full.error().message, HasSubstr("storage is full"));
}

TEST_F(SqliteStoreTest, ReadersSeeWholeCommitsWhileTheWriterGoesOn) {
  std::atomic<bool> done = false;
  std::vector<std::jthread> readers;
  for (int n = 0; n < 3; ++n) {
    readers.emplace_back([&] {
      std::int64_t last = 0;
      while (!done) {
        const auto count = store_->countJobs(false);
        ASSERT_TRUE(count) << count.error().message;
        ASSERT_EQ(*count % 2, 0) << "half a commit was seen";
        ASSERT_GE(*count, last);
        last = *count;
      }
    });
  }
  for (std::uint64_t id = 1; id <= 200; id += 2) {
    std::vector<engine::Job> jobs;
    jobs.push_back(makeJob(id));
    jobs.push_back(makeJob(id + 1));
    ASSERT_TRUE(commitJobs(std::move(jobs)));
  }
  done = true;
}

TEST_F(SqliteStoreTest, KilledBetweenCommitsNothingIsLost) {
  store_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    auto opened = openSqliteStore(path_);
    store_ = std::move(*opened);
    const bool committed = commitJob(makeJob(1)).has_value();
    ::kill(::getpid(), committed ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  open();
  EXPECT_EQ(*store_->countJobs(false), 1);
}

}  // namespace
}  // namespace buoy::store
