#include "sim/simulation.h"

#include <gtest/gtest.h>

#include "engine/engine_test_support.h"

namespace buoy::sim {
namespace {

using namespace std::chrono_literals;

// One zone, one job, one reclaim with notice.
Scenario smallWorld() {
  Scenario scenario = randomScenario(1);
  scenario.happenings.clear();
  scenario.settings.idle_timeout = Duration{0};
  scenario.commit = Duration{0};
  for (Zone& zone : scenario.zones) zone.market = std::make_shared<SteppedMarket>(Offer{10, {300'000'000}});
  Happening submit;
  submit.request.name = "train";
  submit.plan.work = 10min;
  scenario.happenings.push_back(submit);
  return scenario;
}

Happening at(Duration when, Happening::Kind kind, Duration lasting = {}, std::uint32_t detail = 0) {
  Happening happening;
  happening.kind = kind;
  happening.at = when;
  happening.lasting = lasting;
  happening.detail = detail;
  return happening;
}

RunResult runOf(const Scenario& scenario) {
  const engine::testing::FirstFit policy;
  MemoryStore store;
  Simulation simulation(scenario, policy, store);
  return simulation.run();
}

TEST(Simulation, AJobRunsToItsEnd) {
  const RunResult result = runOf(smallWorld());
  EXPECT_EQ(result.problems, std::vector<std::string>{});
  EXPECT_EQ(result.jobs_finished, 1u);
  EXPECT_EQ(result.machines, 1u);
  EXPECT_GT(result.took, 10min);
  EXPECT_LT(result.took, 12min);
}

TEST(Simulation, AReclaimWithNoticeCostsOneMachineAndLittleTime) {
  Scenario scenario = smallWorld();
  scenario.happenings.push_back(at(5min, Happening::Kind::take, 30s));
  const RunResult result = runOf(scenario);
  EXPECT_EQ(result.problems, std::vector<std::string>{});
  EXPECT_EQ(result.machines, 2u);
  EXPECT_LT(result.took, 13min);
}

TEST(Simulation, AReclaimWithoutNoticeCostsTheWorkSinceTheLastSave) {
  Scenario scenario = smallWorld();
  scenario.happenings.push_back(at(5min, Happening::Kind::take));
  const RunResult result = runOf(scenario);
  EXPECT_EQ(result.problems, std::vector<std::string>{});
  EXPECT_EQ(result.reclaims, 1u);
  EXPECT_LT(result.took, 14min);
}

TEST(Simulation, ACrashAtEveryPointLosesNothing) {
  for (std::uint32_t point = 0; point < 5; ++point) {
    for (const Duration when : {Duration{0}, Duration{1s}, Duration{5min}}) {
      Scenario scenario = smallWorld();
      scenario.happenings.push_back(at(when, Happening::Kind::crash, 20s, point));
      const RunResult result = runOf(scenario);
      EXPECT_EQ(result.problems, std::vector<std::string>{}) << point;
      EXPECT_EQ(result.crashes, 1u) << point;
      EXPECT_EQ(result.machines, 1u) << point << ": the job goes on where it is";
    }
  }
}

TEST(Simulation, TheSameScenarioGivesTheSameRun) {
  const Scenario scenario = randomScenario(4);
  const RunResult first = runOf(scenario), second = runOf(scenario);
  EXPECT_EQ(first.steps, second.steps);
  EXPECT_EQ(first.took, second.took);
  EXPECT_EQ(first.billed, second.billed);
}

}  // namespace
}  // namespace buoy::sim
