#include "cloud/local/pool_markets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "os/files.h"

namespace buoy::cloud::local {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Pair;

class PoolMarketsTest : public testing::Test {
 protected:
  PoolMarketsTest() : dir_(*os::TempDir::create("buoy-pools-")) { restart(); }

  void restart() { markets_.emplace(dir_.path(), clock_); }
  LaunchRequest request(std::uint64_t machine, const std::string& config) {
    LaunchRequest request;
    request.machine = MachineId{machine};
    request.pool = "local";
    request.type.name = "small";
    request.provider_config = config;
    return request;
  }
  std::string traced(const std::string& data, const std::string& more = "") {
    const std::string path = dir_.path() + "/trace.json";
    EXPECT_TRUE(
        os::writeFileAtomic(path, R"({"metadata": {"gap_seconds": 10}, "data": )" + data + more + "}"));
    return R"({"trace": ")" + path + R"("})";
  }

  FakeClock clock_;
  os::TempDir dir_;
  std::optional<PoolMarkets> markets_;
};

constexpr const char* kScript = R"({"script": [{"after": 1}, {"after": 2}, {"after": 3}]})";

TEST_F(PoolMarketsTest, AScriptGoesOnAfterARestart) {
  EXPECT_EQ(markets_->admit(request(4, kScript))->appointment->after, 1s);
  restart();
  EXPECT_EQ(markets_->admit(request(5, kScript))->appointment->after, 2s);
  EXPECT_EQ(markets_->admit(request(5, kScript))->appointment->after, 2s) << "asked again";
  restart();
  EXPECT_EQ(markets_->admit(request(4, kScript))->appointment->after, 1s) << "asked again after a restart";
  EXPECT_EQ(markets_->admit(request(7, kScript))->appointment->after, 3s);
  EXPECT_EQ(markets_->admit(request(8, kScript))->appointment, std::nullopt);
}

TEST_F(PoolMarketsTest, OnDemandMachinesHaveNoPlaceInTheScript) {
  auto on_demand = request(1, kScript);
  on_demand.market = engine::Market::on_demand;
  EXPECT_EQ(markets_->admit(on_demand)->appointment, std::nullopt);
  EXPECT_EQ(markets_->admit(request(2, kScript))->order, 1u);
}

TEST_F(PoolMarketsTest, ATornPoolFileStartsTheScriptAgain) {
  ASSERT_TRUE(os::makeDirectories(dir_.path() + "/pools"));
  ASSERT_TRUE(os::writeFileAtomic(dir_.path() + "/pools/local.json", R"({"launched": 2, "rec)"));
  EXPECT_EQ(markets_->admit(request(1, kScript))->order, 1u);
}

TEST_F(PoolMarketsTest, ATraceWithoutRoomRefusesAndTakesTheNewest) {
  const std::string config = traced("[2, 1, 0]");
  EXPECT_EQ(markets_->admit(request(1, config))->appointment->after, 20s);
  EXPECT_EQ(markets_->admit(request(2, config))->appointment->after, 10s) << "the newer goes first";
  const auto refused = markets_->admit(request(3, config));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted);
}

TEST_F(PoolMarketsTest, WhoeverMovesUpGetsALaterAppointment) {
  const std::string config = traced("[2, 1, 0]");
  ASSERT_TRUE(markets_->admit(request(1, config)));
  ASSERT_TRUE(markets_->admit(request(2, config)));
  clock_.advance(5s);
  EXPECT_THAT(markets_->release(MachineId{1}),
              ElementsAre(Pair(MachineId{2}, Appointment{15s, std::nullopt})));
  EXPECT_THAT(markets_->release(MachineId{2}), ElementsAre());
  EXPECT_THAT(markets_->release(MachineId{2}), ElementsAre());
}

TEST_F(PoolMarketsTest, ATraceKeepsItsOriginAndItsMachinesOverARestart) {
  const std::string config = traced("[2, 2, 1, 0]");
  ASSERT_TRUE(markets_->admit(request(1, config)));
  clock_.advance(10s);
  restart();
  MachineRecord record;
  record.machine = MachineId{1};
  record.pool = "local";
  record.type = "small";
  record.provider_config = config;
  record.order = 1;
  markets_->readmit(record);
  EXPECT_EQ(markets_->admit(request(2, config))->appointment->after, 10s)
      << "second in the pool, ten seconds into the trace";
}

TEST_F(PoolMarketsTest, PricesAreToldOnceForEachType) {
  const std::string config = traced("[5, 5]", R"(, "prices": [0.5, 0.25])");
  EXPECT_TRUE(markets_->newPrices().empty());
  ASSERT_TRUE(markets_->admit(request(1, config)));
  ASSERT_EQ(markets_->newPrices().size(), 1u);
  EXPECT_TRUE(markets_->newPrices().empty());
  EXPECT_EQ(*markets_->nextPriceChange(), clock_.now() + 10s);
  clock_.advance(10s);
  const auto changed = markets_->newPrices();
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].type, "small");
  EXPECT_EQ(changed[0].spot_price.nano_usd, 250'000'000);
}

TEST_F(PoolMarketsTest, WhatCannotBeReadIsRefusedWithItsName) {
  EXPECT_EQ(markets_->admit(request(1, "nonsense")).error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(markets_->admit(request(1, R"({"trace": "/nonexistent/trace"})")));
  EXPECT_FALSE(markets_->admit(request(1, traced("[-1]"))));
  auto escaping = request(1, kScript);
  escaping.pool = "../up";
  EXPECT_EQ(markets_->admit(escaping).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace buoy::cloud::local
