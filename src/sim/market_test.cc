#include "sim/market.h"

#include <gtest/gtest.h>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;

constexpr Time kStart{std::chrono::hours{24 * 365 * 50}};

TEST(SteppedMarket, HoldsEachOfferUntilTheNext) {
  const SteppedMarket market({{kStart, {4, {300}}},
                              {kStart + 10s, {4, {300}}},  // no change
                              {kStart + 20s, {0, {300}}},
                              {kStart + 30s, {4, {500}}}});
  EXPECT_EQ(market.at(kStart - 1h), (Offer{4, {300}}));
  EXPECT_EQ(market.at(kStart + 19s), (Offer{4, {300}}));
  EXPECT_EQ(market.at(kStart + 20s), (Offer{0, {300}}));
  EXPECT_EQ(market.at(kStart + 1h), (Offer{4, {500}}));
  EXPECT_EQ(market.nextChange(kStart - 1h), kStart + 20s);
  EXPECT_EQ(market.nextChange(kStart + 20s), kStart + 30s);
  EXPECT_EQ(market.nextChange(kStart + 30s), std::nullopt);
}

}  // namespace
}  // namespace buoy::sim
