#include "sim/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TraceFile, IsReadWithWhatItTells) {
  const auto trace = parseTrace(
      R"({"metadata": {"gap_seconds": 195, "zone": "z1", "instance_type": "big", "on_demand_price": 3.06, "more": 1},
          "data": [0, 2, 1.0], "prices": [0.5, 0.6, 0.7]})");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->gap, 195s);
  EXPECT_EQ(trace->place(), "z1/big");
  EXPECT_EQ(trace->on_demand_price.nano_usd, 3'060'000'000);
  EXPECT_THAT(trace->available, ElementsAre(0, 2, 1));
  EXPECT_EQ(trace->prices[2].nano_usd, 700'000'000);
  EXPECT_TRUE(trace->up(1, 2));
  EXPECT_FALSE(trace->up(2, 2));
  EXPECT_FALSE(trace->up(3)) << "beyond the end";
}

TEST(TraceFile, MistakesNameTheirField) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "JSON object"},
      {R"({"data": [1]})", "metadata.gap_seconds"},
      {R"({"metadata": {"gap_seconds": 0}, "data": [1]})", "metadata.gap_seconds"},
      {R"({"metadata": {"gap_seconds": 1}})", "data"},
      {R"({"metadata": {"gap_seconds": 1}, "data": []})", "data"},
      {R"({"metadata": {"gap_seconds": 1}, "data": [1, -1]})", "data[1]"},
      {R"({"metadata": {"gap_seconds": 1}, "data": [1, "x"]})", "data[1]"},
      {R"({"metadata": {"gap_seconds": 1}, "data": [1], "prices": [1, 2]})", "prices"},
      {R"({"metadata": {"gap_seconds": 1}, "data": [1], "prices": [-2]})", "prices[0]"},
      {R"({"metadata": {"gap_seconds": 1, "zone": 5}, "data": [1]})", "metadata.zone"},
      {R"({"metadata": {"gap_seconds": 1, "on_demand_price": "x"}, "data": [1]})",
       "metadata.on_demand_price"},
  };
  for (const auto& [text, expected] : cases) {
    const auto trace = parseTrace(text);
    ASSERT_FALSE(trace) << text;
    EXPECT_THAT(trace.error().message, HasSubstr(expected)) << text;
  }
}

}  // namespace
}  // namespace buoy::sim
