#include "control/market_memory.h"

#include <gtest/gtest.h>

#include "os/files.h"

namespace buoy::control {
namespace {

using namespace std::chrono_literals;
using engine::MarketEvent;
using schedule::spot::History;
using What = MarketEvent::What;

constexpr Time kBegin{std::chrono::hours{24 * 365 * 50}};
constexpr const char* kTrace = R"({"metadata": {"gap_seconds": 195}, "data": [1, 1, 0]})";

class MarketMemoryTest : public ::testing::Test {
 protected:
  std::string file(const std::string& text) const {
    const std::string path = dir_.path() + "/zone.json";
    EXPECT_TRUE(os::writeFileAtomic(path, text, 0600));
    return path;
  }
  void happens(std::vector<MarketEvent> events) {
    engine::Changes changes;
    changes.market = std::move(events);
    const engine::State state;
    ASSERT_TRUE(store_->commit({&state, &changes, {}, {}, {}}));
  }

  os::TempDir dir_ = *os::TempDir::create("buoy-market-");
  std::unique_ptr<store::Store> store_ = *store::openSqliteStore(dir_.path() + "/state.db");
};

TEST_F(MarketMemoryTest, RecordingsAreKeptAsTheyWere) {
  engine::Pool pool{.name = "p"};
  pool.learn = {file(kTrace)};
  ASSERT_TRUE(keepRecordings(*store_, pool));
  EXPECT_TRUE(pool.learn[0].starts_with(dir_.path() + "/zone.json#"));
  file("something else");
  const std::string name = pool.learn[0];
  ASSERT_TRUE(keepRecordings(*store_, pool)) << "what is kept needs no file";
  EXPECT_EQ(pool.learn[0], name);
  const auto histories = recall(*store_, {.pool = "p", .until = {}, .recorded = pool.learn});
  ASSERT_EQ(histories.size(), 1u);
  EXPECT_EQ(histories[0].spans, (std::vector<engine::AvailabilitySpan>{{390s, true}, {195s, false}}));
}

TEST_F(MarketMemoryTest, AGangLearnsWhenThereWasRoomForAllOfIt) {
  engine::Pool pool{.name = "p"};
  pool.learn = {file(R"({"metadata": {"gap_seconds": 195}, "data": [4, 2, 1]})")};
  ASSERT_TRUE(keepRecordings(*store_, pool));
  const auto spans = [&](std::int32_t machines) {
    return recall(*store_, {.pool = "p", .until = {}, .recorded = pool.learn, .machines = machines})[0].spans;
  };
  EXPECT_EQ(spans(2), (std::vector<engine::AvailabilitySpan>{{390s, true}, {195s, false}}));
  EXPECT_EQ(spans(4), (std::vector<engine::AvailabilitySpan>{{195s, true}, {390s, false}}));
}

TEST_F(MarketMemoryTest, WhatIsNoRecordingIsRefused) {
  engine::Pool pool{.name = "p"};
  pool.learn = {file("something else")};
  EXPECT_FALSE(keepRecordings(*store_, pool));
  pool.learn = {dir_.path() + "/nothing"};
  EXPECT_FALSE(keepRecordings(*store_, pool));
  pool.learn = {"relative.json"};
  EXPECT_FALSE(keepRecordings(*store_, pool));
}

TEST_F(MarketMemoryTest, WhatWasSeenBeforeAnInstantIsRemembered) {
  happens({{.pool = "p", .at = kBegin, .what = What::up},
           {.pool = "q", .at = kBegin, .what = What::down},
           {.pool = "p", .at = kBegin + 1h, .what = What::ended, .lived = 1h, .taken = true},
           {.pool = "p", .at = kBegin + 2h, .what = What::down}});
  const auto seen = recall(*store_, {.pool = "p", .until = kBegin + 2h, .recorded = {}});
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].kind, History::Kind::life);
  EXPECT_EQ(seen[1].spans, (std::vector<engine::AvailabilitySpan>{{2h, true}}));
  happens({{.pool = "p", .at = kBegin + 3h, .what = What::up}});
  EXPECT_EQ(recall(*store_, {.pool = "p", .until = kBegin + 2h, .recorded = {}})[1].spans, seen[1].spans);
  EXPECT_TRUE(recall(*store_, {.pool = "p", .until = {}, .recorded = {}}).empty());
}

}  // namespace
}  // namespace buoy::control
