#include "control/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::control {
namespace {

using testing::HasSubstr;

engine::Pool makePool(std::string name, std::int32_t milli_cpus, std::int32_t max_machines = 0) {
  engine::Pool pool;
  pool.name = std::move(name);
  pool.types = {{"small", {milli_cpus / 2, 0, ByteCount{1u << 29}}, {}, {}},
                {"large", {milli_cpus, 0, ByteCount{1u << 30}}, {}, {}}};
  pool.max_machines = max_machines;
  return pool;
}

class AdmissionTest : public testing::Test {
 protected:
  std::string why() {
    const auto problems = checkAdmission(view_, request_);
    return problems.empty() ? "" : problems.front().field + ": " + problems.front().message;
  }
  Catalog::View view_{{makePool("small", 1000, 2), makePool("big", 8000)},
                      {{"default", 0, {"small", "big"}, false}}};
  engine::JobRequest request_;
};

TEST_F(AdmissionTest, OnePoolThatFitsIsEnough) {
  EXPECT_EQ(why(), "");
  request_.resources.milli_cpus = 4000;
  EXPECT_EQ(why(), "");
  request_.machines = 100;
  EXPECT_EQ(why(), "") << "the big pool has no limit";
}

TEST_F(AdmissionTest, TooLargeNamesTheLargest) {
  request_.resources.milli_cpus = 9500;
  request_.pools = {"big"};
  EXPECT_EQ(why(),
            "resources: no machine type of pool 'big' has 9.50 CPUs; the largest, 'large', has 8 CPUs, "
            "1.0 GiB");
  request_.resources = {1000, 2, {}};
  EXPECT_THAT(why(), HasSubstr("2 GPUs"));
}

TEST_F(AdmissionTest, UnknownNamesAreSuggested) {
  request_.pools = {"big", "smal"};
  EXPECT_EQ(why(), "pools: there is no pool 'smal'; did you mean 'small'?");
  request_.queue = "night";
  EXPECT_EQ(why(), "queue: there is no queue 'night'; known: default");
}

TEST_F(AdmissionTest, LimitsAndMarketsAreChecked) {
  request_.pools = {"small"};
  request_.machines = 3;
  EXPECT_EQ(why(), "machines: 3 are more than pool 'small' may have: 2");
  request_.machines = 1;
  view_.pools[0].spot = false;
  request_.spot = engine::SpotPreference::only;
  EXPECT_EQ(why(), "spot: pool 'small' offers no spot machines");
  view_.pools[0].types.clear();
  EXPECT_THAT(why(), HasSubstr("no machine types"));
  view_.queues[0].pools.clear();
  request_.pools.clear();
  EXPECT_EQ(why(), "queue: queue 'default' has no pools");
}

TEST_F(AdmissionTest, ADeadlineMustBeOneThatAPoolCanKeep) {
  const engine::Settings settings;
  const Time now{std::chrono::hours{24 * 365 * 50}};
  const auto refusal = [&] {
    const auto problems = checkPromises(view_, request_, now, settings);
    return problems.empty() ? "" : problems.front().field + ": " + problems.front().message;
  };
  EXPECT_EQ(refusal(), "") << "it has none";
  request_.policy = engine::SpotRule::buoy;
  request_.work = std::chrono::hours{8};
  request_.deadline_in = std::chrono::hours{8};
  EXPECT_THAT(refusal(), HasSubstr("deadline: cannot be met: 8h of work and up to 6m 15s for a changeover"));
  EXPECT_THAT(refusal(), HasSubstr("the earliest deadline is 8h 7m from now"));
  EXPECT_THAT(refusal(),
              HasSubstr("is launched (3m), the job starts (3m), and a loss may go unnoticed (15s)"));
  view_.pools[0].launch_time = std::chrono::seconds{30};
  EXPECT_THAT(refusal(), HasSubstr("the earliest deadline is 8h 2m from now")) << "by the first pool";
  request_.deadline_in = std::chrono::hours{8} + std::chrono::minutes{2};
  EXPECT_EQ(refusal(), "");
  request_.deadline_in = {};
  request_.deadline_at = now - std::chrono::hours{1};
  EXPECT_THAT(refusal(), HasSubstr("cannot be met"));
  for (engine::Pool& pool : view_.pools) pool.on_demand = false;
  EXPECT_THAT(refusal(), HasSubstr("no pool of the job offers on-demand machines"));
}

TEST_F(AdmissionTest, ABudgetMustLeaveSomethingForWork) {
  const engine::Settings settings;
  const auto refusal = [&] {
    const auto problems = checkPromises(view_, request_, Time{}, settings);
    return problems.empty() ? "" : problems.front().field + ": " + problems.front().message;
  };
  for (engine::MachineType& type : view_.pools[0].types) {
    type.spot_price = {300'000'000};
    type.on_demand_price = {1'000'000'000};
  }
  request_.pools = {view_.pools[0].name};
  request_.stop_grace = std::chrono::seconds{30};
  EXPECT_EQ(refusal(), "") << "it has none";
  // 30 s of grace, 30 s until it would be ended by force and a lease of 15 s on demand; 6m 15s on spot.
  request_.budget = Money{52'000'000};
  EXPECT_THAT(refusal(), HasSubstr("budget: of $0.0520 is too small"));
  EXPECT_THAT(refusal(), HasSubstr("the smallest that leaves something is $0.0521"));
  request_.budget = Money{52'100'000};
  EXPECT_EQ(refusal(), "");
  request_.machines = 2;
  EXPECT_THAT(refusal(), HasSubstr("the smallest that leaves something is $0.1042"));
  request_.machines = 1;
  request_.spot = engine::SpotPreference::never;
  EXPECT_THAT(refusal(), HasSubstr("the smallest that leaves something is $0.1251"));
}

TEST_F(AdmissionTest, AQueuesPoolsMustExist) {
  EXPECT_TRUE(checkQueue(view_, view_.queues[0]).empty());
  EXPECT_EQ(checkQueue(view_, {"q", 0, {"big", "bgi"}, false}).size(), 1u);
}

}  // namespace
}  // namespace buoy::control
