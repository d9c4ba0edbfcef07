#include "cloud/local/market.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace buoy::cloud::local {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(Market, NothingSaidIsACalmMarket) {
  for (const char* config : {"", "  ", "{}", R"({"notice": 30, "seed": 3})"}) {
    const auto market = parseMarket(config);
    ASSERT_TRUE(market) << config;
    EXPECT_EQ(appointmentFor(*market, 1, MachineId{1}), std::nullopt) << config;
  }
}

TEST(Market, AScriptSaysWhatHappensToTheKthMachine) {
  const auto market = parseMarket(
      R"({"script": [{"after": 6.5, "notice": 2}, {"after": 8, "notice": null}, {"after": 1}], "notice": 30})");
  ASSERT_TRUE(market);
  EXPECT_EQ(appointmentFor(*market, 1, MachineId{9}), (Appointment{6500ms, 2s}));
  EXPECT_EQ(appointmentFor(*market, 2, MachineId{9}), (Appointment{8s, std::nullopt}));
  EXPECT_EQ(appointmentFor(*market, 3, MachineId{9}), (Appointment{1s, 30s})) << "the market's own notice";
  EXPECT_EQ(appointmentFor(*market, 4, MachineId{9}), std::nullopt) << "beyond the script";
}

TEST(Market, AnEmptyScriptTakesNothingEvenBesideOtherSettings) {
  const auto market = parseMarket(R"({"script": [], "mean_uptime": 1})");
  ASSERT_TRUE(market);
  EXPECT_EQ(appointmentFor(*market, 1, MachineId{1}), std::nullopt);
}

TEST(Market, MeanUptimeIsExponentialAndTheSameForTheSameSeed) {
  const auto market = parseMarket(R"({"mean_uptime": 600, "seed": 7, "notice": 30})");
  const auto other = parseMarket(R"({"mean_uptime": 600, "seed": 8, "notice": 30})");
  ASSERT_TRUE(market && other);
  const std::uint64_t n = 20'000;
  double sum = 0;
  std::uint64_t beyond_mean = 0, differing = 0;
  for (std::uint64_t i = 1; i <= n; ++i) {
    const auto appointment = appointmentFor(*market, i, MachineId{i});
    ASSERT_EQ(appointment, appointmentFor(*market, 0, MachineId{i})) << "only the machine matters";
    ASSERT_EQ(appointment->notice, 30s);
    sum += static_cast<double>(appointment->after.count()) / 1e6;
    if (appointment->after > 600s) ++beyond_mean;
    if (appointment != appointmentFor(*other, i, MachineId{i})) ++differing;
  }
  EXPECT_NEAR(sum / static_cast<double>(n), 600, 600 * 0.03);
  EXPECT_NEAR(static_cast<double>(beyond_mean) / static_cast<double>(n), std::exp(-1.0), 0.02);
  EXPECT_GT(differing, n - 10);
}

TEST(Market, MistakesNameTheirField) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "JSON object"},
      {"{", "JSON object"},
      {R"({"script": {}})", "market.script"},
      {R"({"script": [{"after": 1}, {}]})", "market.script[1]"},
      {R"({"script": [{"after": -1}]})", "market.script[0].after"},
      {R"({"script": [{"after": 1e300}]})", "market.script[0].after"},
      {R"({"script": [{"after": "6s"}]})", "market.script[0].after"},
      {R"({"script": [{"after": 1, "notice": "x"}]})", "market.script[0].notice"},
      {R"({"notice": true})", "market.notice"},
      {R"({"mean_uptime": -5})", "market.mean_uptime"},
      {R"({"seed": -5})", "market.seed"},
      {R"({"speed": 0})", "market.speed"},
      {R"({"trace": "relative.json"})", "market.trace"},
      {R"({"scirpt": []})", "market.scirpt"},
  };
  for (const auto& [config, expected] : cases) {
    const auto market = parseMarket(config);
    ASSERT_FALSE(market) << config;
    EXPECT_EQ(market.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(market.error().message, HasSubstr(expected)) << config;
  }
}

class TraceMarketTest : public testing::Test {
 protected:
  TraceMarket play(const char* text, double speed = 1) {
    auto trace = sim::parseTrace(text);
    BUOY_CHECK(trace.has_value());
    return {std::make_shared<const sim::Trace>(std::move(*trace)), speed, origin_};
  }
  Time at(Duration since_origin) const { return origin_ + since_origin; }
  const Time origin_ = Time{} + std::chrono::hours{1000};
};

TEST_F(TraceMarketTest, CapacityFollowsTheTicksAndBeginsAgainAfterTheEnd) {
  const TraceMarket market = play(R"({"metadata": {"gap_seconds": 10}, "data": [2, 1, 0]})");
  EXPECT_EQ(market.availableAt(at(-5s)), 2) << "a clock behind the origin";
  EXPECT_EQ(market.availableAt(at(0s)), 2);
  EXPECT_EQ(market.availableAt(at(10s) - Duration{1}), 2);
  EXPECT_EQ(market.availableAt(at(10s)), 1);
  EXPECT_EQ(market.availableAt(at(29s)), 0);
  EXPECT_EQ(market.availableAt(at(30s)), 2);
}

TEST_F(TraceMarketTest, AMachineIsLostAtTheFirstTickWithoutRoomForIt) {
  const TraceMarket market = play(R"({"metadata": {"gap_seconds": 10}, "data": [3, 2, 3, 1, 3]})");
  EXPECT_EQ(market.lossOf(3, at(0s)), at(10s));
  EXPECT_EQ(market.lossOf(2, at(0s)), at(30s));
  EXPECT_EQ(market.lossOf(2, at(30s)), at(80s)) << "in the next round";
  EXPECT_EQ(market.lossOf(1, at(0s)), std::nullopt) << "never";
}

TEST_F(TraceMarketTest, SpeedShortensTheTicks) {
  const TraceMarket market = play(R"({"metadata": {"gap_seconds": 195}, "data": [1, 0]})", 195);
  EXPECT_EQ(market.lossOf(1, at(0s)), at(1s));
  EXPECT_EQ(market.availableAt(at(1s)), 0);
}

TEST_F(TraceMarketTest, PricesChangeAtTheirTicks) {
  const TraceMarket market =
      play(R"({"metadata": {"gap_seconds": 10}, "data": [1, 1, 1], "prices": [0.5, 0.5, 0.75]})");
  EXPECT_EQ(market.priceAt(at(0s))->nano_usd, 500'000'000);
  EXPECT_EQ(market.nextPriceChange(at(0s)), at(20s));
  EXPECT_EQ(market.priceAt(at(20s))->nano_usd, 750'000'000);
  EXPECT_EQ(market.nextPriceChange(at(20s)), at(30s));
  EXPECT_EQ(play(R"({"metadata": {"gap_seconds": 10}, "data": [1]})").priceAt(at(0s)), std::nullopt);
}

TEST_F(TraceMarketTest, TheNoticeOfARecordedLossComesBeforeIt) {
  EXPECT_EQ(appointmentAt(at(100s), 30s, at(0s)), (Appointment{70s, 30s}));
  EXPECT_EQ(appointmentAt(at(10s), 30s, at(0s)), (Appointment{0s, 10s})) << "less time than the notice";
  EXPECT_EQ(appointmentAt(at(10s), std::nullopt, at(0s)), (Appointment{10s, std::nullopt}));
}

}  // namespace
}  // namespace buoy::cloud::local
