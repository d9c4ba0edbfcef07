#include "store/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/files.h"
#include "store/store.h"

namespace buoy::store {
namespace {

using testing::HasSubstr;

// A database of format 1 with an unfinished job, a finished one, a machine, a pool, a queue and their
// history, frozen when that format was released: never edit it.
constexpr const char* kVersion1Data = R"sql(
INSERT INTO jobs VALUES (1, 1, 'old', '{"v":1,"id":1,"request":{"name":"old","queue":"default","machines":1,"resources":{"milli_cpus":1000},"spot":"prefer","stop_grace":30000000},"phase":"succeeded","stop":"none","submitted":1000,"phase_since":2000,"exit_code":0}');
INSERT INTO jobs VALUES (2, 0, 'new', '{"v":1,"id":2,"request":{"name":"new","queue":"default","machines":1,"resources":{"milli_cpus":1000},"spot":"only","stop_grace":30000000},"phase":"queued","stop":"none","submitted":3000,"phase_since":3000}');
INSERT INTO specs VALUES (1, '{"name":"old"}'), (2, '{"name":"new"}');
INSERT INTO requests VALUES ('r2', 2);
INSERT INTO machines VALUES (5, 0, '{"v":1,"id":5,"pool":"local","type":"small","market":"spot","price":300000000,"on_demand_price":1000000000,"phase":"idle","phase_since":1000,"requested":900,"use":"waiting"}');
INSERT INTO pools VALUES ('local', '{"v":1,"name":"local","provider":"local","types":[{"name":"small","resources":{"milli_cpus":1000},"on_demand_price":1000000000,"spot_price":300000000}],"spot":true,"on_demand":true}');
INSERT INTO queues VALUES ('default', '{"v":1,"name":"default","pools":["local"]}');
INSERT INTO records (at, job, machine, attempt, kind, detail) VALUES (1000, 1, 0, 0, 'submitted', 'submitted');
INSERT INTO spans (machine, job, attempt, use, begin_at, end_at, price, on_demand_price) VALUES (4, 1, 1, 'useful', 1000, 2000, 300000000, 1000000000);
INSERT INTO metrics VALUES (1, 1, 4, 1, 'loss', 1500, 0.5);
INSERT INTO counters VALUES ('finished', 1), ('unfinished', 1), ('last_job', 2), ('last_machine', 5), ('queue/default', 1), ('latest_time', 3000);
INSERT INTO settings VALUES ('cluster', 'c1');
PRAGMA user_version = 1;
)sql";

class MigrationsTest : public testing::Test {
 protected:
  os::TempDir dir_ = *os::TempDir::create("buoy-store-");
  std::string path_ = dir_.path() + "/state.db";
};

TEST_F(MigrationsTest, DatabaseOfTheFirstFormatIsOpened) {
  {
    auto db = Database::open(path_, Database::Mode::read_write);
    ASSERT_TRUE(db->execute(migrations()[0]));
    const Status filled = db->execute(kVersion1Data);
    ASSERT_TRUE(filled) << filled.error().message;
  }
  const auto store = openSqliteStore(path_);
  ASSERT_TRUE(store) << store.error().message;
  engine::State state;
  ASSERT_TRUE((*store)->load(state));
  EXPECT_EQ(state.jobCount(), 1u);
  ASSERT_NE(state.job(JobId{2}), nullptr);
  EXPECT_EQ(state.job(JobId{2})->request.spot, engine::SpotPreference::only);
  ASSERT_NE(state.machine(MachineId{5}), nullptr);
  EXPECT_EQ((*store)->findRequest("r2")->value(), JobId{2});
  EXPECT_EQ((*store)->spans(JobId{1})->at(0).use, engine::Use::useful);
  EXPECT_EQ((*store)->metrics(JobId{1}, 10)->at(0).value, 0.5);
  EXPECT_EQ((*store)->value("cluster")->value(), "c1");
  EXPECT_EQ(*(*store)->countJobs(true), 1);
}

// What waited in a pool that packs from then on.
TEST_F(MigrationsTest, JobsWithStorageHaveTheirMachinesToThemselves) {
  {
    auto db = Database::open(path_, Database::Mode::read_write);
    for (std::size_t i = 0; i < 7; ++i) ASSERT_TRUE(db->execute(migrations()[i]));
    const auto add = [&](int id, int parent, const std::string& spec) {
      const std::string number = std::to_string(id);
      ASSERT_TRUE(db->execute(
          "INSERT INTO jobs (id, finished, name, record, queue, phase, parent) VALUES (" + number +
          R"(, 0, 'x', '{"v":1,"id":)" + number +
          R"(,"request":{"name":"x","queue":"default","machines":1,"resources":{"milli_cpus":1000},"spot":"prefer","stop_grace":30000000},"phase":"queued","stop":"none","submitted":1000,"phase_since":1000}', 'default', 'queued', )" +
          std::to_string(parent) + ")"));
      if (spec.empty()) return;
      ASSERT_TRUE(db->execute("INSERT INTO specs VALUES (" + number + ", '" + spec + "')"));
    };
    add(1, 0, R"({"name":"x","volumes":[{"name":"data"}]})");
    add(2, 0, R"({"name":"x"})");
    add(3, 0, R"({"name":"x","array":2,"file_systems":[{"name":"fs"}]})");
    add(4, 3, "");
    ASSERT_TRUE(db->execute("PRAGMA user_version = 7"));
  }
  const auto store = openSqliteStore(path_);
  ASSERT_TRUE(store) << store.error().message;
  engine::State state;
  ASSERT_TRUE((*store)->load(state));
  for (const std::uint64_t id : {1u, 3u, 4u}) EXPECT_TRUE(state.job(JobId{id})->request.alone) << id;
  EXPECT_FALSE(state.job(JobId{2})->request.alone);
}

TEST_F(MigrationsTest, DatabaseOfANewerProgramIsRefused) {
  {
    auto db = Database::open(path_, Database::Mode::read_write);
    ASSERT_TRUE(db->execute("PRAGMA user_version = 999"));
  }
  const auto store = openSqliteStore(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(store.error().message, HasSubstr("newer version of buoy"));
}

TEST_F(MigrationsTest, SomethingElseIsRefusedAndLeftAlone) {
  const std::string text(4096, 'x');
  ASSERT_TRUE(os::writeFileAtomic(path_, text));
  EXPECT_FALSE(openSqliteStore(path_));
  EXPECT_EQ(*os::readFile(path_), text);
}

TEST_F(MigrationsTest, MigratingTwiceChangesNothing) {
  auto db = Database::open(path_, Database::Mode::read_write);
  ASSERT_TRUE(migrate(*db));
  ASSERT_TRUE(migrate(*db));
  EXPECT_EQ(*db->integer("PRAGMA user_version"), static_cast<std::int64_t>(migrations().size()));
}

}  // namespace
}  // namespace buoy::store
