#include "schedule/spot_first.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::schedule {
namespace {

using namespace std::chrono_literals;
using engine::Market;
using engine::Placement;
using engine::PlacementRequest;
using engine::Pool;
using engine::PoolView;
using engine::SpotPreference;
using ::testing::HasSubstr;

constexpr Time kNow{std::chrono::hours{24 * 365 * 50}};

Pool poolOf(const std::string& name) {
  Pool pool;
  pool.name = name;
  pool.types = {
      {"huge", {.milli_cpus = 64000, .gpus = 8, .memory = {1ULL << 40}}, {32'000'000'000}, {9'000'000'000}},
      {"big", {.milli_cpus = 8000, .gpus = 1, .memory = {1ULL << 35}}, {2'000'000'000}, {1'000'000'000}},
      {"tiny", {.milli_cpus = 500, .gpus = 0, .memory = {1ULL << 29}}, {10'000'000}, {5'000'000}},
      {"mid", {.milli_cpus = 4000, .gpus = 1, .memory = {1ULL << 34}}, {1'500'000'000}, {1'200'000'000}}};
  return pool;
}

class SpotFirstTest : public ::testing::Test {
 protected:
  SpotFirstTest() { request_.resources = {.milli_cpus = 4000, .gpus = 1, .memory = {1ULL << 33}}; }
  Placement place(std::vector<PoolView> views) { return SpotFirst().place(request_, views, kNow); }
  PoolView view(const Pool& pool, std::int32_t free = 10) {
    PoolView result;
    result.pool = &pool;
    result.free = free;
    return result;
  }

  PlacementRequest request_;
  Pool a_ = poolOf("a"), b_ = poolOf("b");
};

TEST_F(SpotFirstTest, TakesTheCheapestTypeThatFits) {
  const Placement spot = place({view(a_), view(b_)});
  EXPECT_EQ(spot.pool, &a_);
  EXPECT_EQ(spot.market, Market::spot);
  EXPECT_EQ(spot.type->name, "big");
  request_.spot = SpotPreference::never;
  const Placement on_demand = place({view(a_)});
  EXPECT_EQ(on_demand.market, Market::on_demand);
  EXPECT_EQ(on_demand.type->name, "mid");
}

TEST_F(SpotFirstTest, AContainerGoesWhereContainersRunOrAreNotAskedFor) {
  request_.image = true;
  a_.no_containers = "this machine has neither docker nor podman";
  const Placement placement = place({view(a_), view(b_)});
  EXPECT_EQ(placement.pool, &b_);
  EXPECT_THAT(placement.candidates[0].rejected,
              HasSubstr("runs no containers: this machine has neither docker nor podman"));
  a_.isolation = engine::Isolation::process;
  EXPECT_EQ(place({view(a_), view(b_)}).pool, &a_);
  request_.image = false;
  a_.isolation = engine::Isolation::container;
  EXPECT_EQ(place({view(a_), view(b_)}).pool, &a_);
}

TEST_F(SpotFirstTest, EveryOptionIsRecordedAndTheFirstPossibleIsTaken) {
  const Placement placement = place({view(a_, 0), view(b_)});
  EXPECT_EQ(placement.pool, &b_);
  ASSERT_EQ(placement.candidates.size(), 16u);
  EXPECT_THAT(placement.candidates[0].rejected, HasSubstr("full"));
  EXPECT_THAT(placement.candidates[3].rejected,
              HasSubstr("too small: 500m cpus, needs 4 cpus, 0 gpus, needs 1 gpus"));
  for (const auto& candidate : placement.candidates) {
    if (!candidate.rejected.empty()) continue;
    EXPECT_EQ(candidate.pool, "b");
    EXPECT_EQ(candidate.type, placement.type->name);
    EXPECT_DOUBLE_EQ(candidate.score, 1.0);
    break;
  }
}

TEST_F(SpotFirstTest, RejectsWithTheReason) {
  const auto reason = [&](const Pool& pool, std::int32_t free = 10) {
    const Placement placement = place({view(pool, free)});
    EXPECT_EQ(placement.pool, nullptr);
    return placement.candidates.empty() ? "" : placement.candidates[0].rejected;
  };
  a_.paused = true;
  EXPECT_EQ(reason(a_), "paused");
  a_.paused = false;
  a_.consecutive_failures = 3;
  a_.retry_at = kNow + 5s;
  EXPECT_THAT(reason(a_), HasSubstr("backing off after 3 failed launches"));
  a_.retry_at = kNow;
  EXPECT_NE(place({view(a_)}).pool, nullptr);
  request_.spot = SpotPreference::only;
  a_.spot = false;
  EXPECT_EQ(reason(a_), "offers no spot machines");
  a_.spot = true;
  a_.spot_failures = 1;
  a_.spot_retry_at = kNow + 1s;
  EXPECT_THAT(reason(a_), HasSubstr("failed spot launch,"));
  a_.spot_retry_at = kNow;
  request_.count = 4;
  a_.max_machines = 10;
  EXPECT_EQ(reason(a_, 3), "no room for 4 machines (limit of 10)");
  PoolView trial = view(a_);
  trial.trial_spot = true;
  EXPECT_THAT(place({trial}).candidates[0].rejected, HasSubstr("tried first"));
}

TEST_F(SpotFirstTest, SpotMayBackOffWhileOnDemandGoesOn) {
  a_.spot_failures = 1;
  a_.spot_retry_at = kNow + 1s;
  EXPECT_EQ(place({view(a_)}).market, Market::on_demand);
}

TEST_F(SpotFirstTest, IdleMachinesCountEvenWhenNothingCanBeLaunched) {
  PoolView idle = view(a_, 1);
  idle.idle_spot = 1;
  request_.count = 2;
  EXPECT_EQ(place({idle}).pool, &a_);
  idle.idle_spot = 2;
  idle.free = 0;
  a_.retry_at = kNow + 1h;
  EXPECT_EQ(place({idle}).pool, &a_);
  idle.idle_on_demand = 5;
  request_.spot = SpotPreference::never;
  EXPECT_EQ(place({idle}).market, Market::on_demand);
}

TEST_F(SpotFirstTest, WithoutPoolsThereIsNoCandidate) {
  const Placement placement = place({});
  EXPECT_EQ(placement.pool, nullptr);
  EXPECT_TRUE(placement.candidates.empty());
}

}  // namespace
}  // namespace buoy::schedule
