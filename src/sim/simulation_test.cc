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

// The first call for a machine is refused, the second makes it while the refusal is on its way: it ends soon,
// and is in nobody's ledger.
TEST(Simulation, AMachineMadeByASecondCallAfterItsRefusalIsNoLeak) {
  int made_in_vain = 0;
  for (Duration room = 20ms; room < 200ms; room += 10ms) {
    Scenario scenario = smallWorld();
    const Time begin{std::chrono::hours{24 * 365 * 50}};
    for (Zone& zone : scenario.zones)
      zone.market = std::make_shared<SteppedMarket>(
          std::vector<SteppedMarket::Step>{{begin, {0, {300'000'000}}}, {begin + room, {10, {300'000'000}}}});
    scenario.cloud.call_min = 20ms;
    scenario.cloud.call_max = 200ms;
    scenario.cloud.news_min = scenario.cloud.news_max = 200ms;
    Happening doubled = at(Duration{0}, Happening::Kind::doubled, 100ms);
    scenario.happenings.insert(scenario.happenings.begin(), doubled);
    const RunResult result = runOf(scenario);
    EXPECT_EQ(result.problems, std::vector<std::string>{});
    if (result.machines > 1) ++made_in_vain;
  }
  EXPECT_GT(made_in_vain, 0);
}

// A job of ten minutes; from the fifth minute on there is no spot.
Scenario promisedWorld() {
  Scenario scenario = smallWorld();
  scenario.promises = true;
  const Time begin{std::chrono::hours{24 * 365 * 50}};
  for (Zone& zone : scenario.zones) {
    zone.pool.max_machines = 0;
    zone.market = std::make_shared<SteppedMarket>(
        std::vector<SteppedMarket::Step>{{begin, {10, {300'000'000}}}, {begin + 5min, {0, {300'000'000}}}});
  }
  engine::JobRequest& request = scenario.happenings[0].request;
  request.policy = engine::SpotRule::spot_first;
  request.work = 10min;
  request.deadline_in = 20min;
  // After the last happening there is spot for everybody again.
  scenario.happenings.push_back(at(18min, Happening::Kind::warned));
  return scenario;
}

TEST(Simulation, ADeadlineIsMetOnDemandWhenSpotGoes) {
  const RunResult result = runOf(promisedWorld());
  EXPECT_EQ(result.problems, std::vector<std::string>{});
  EXPECT_EQ(result.jobs_finished, 1u);
  EXPECT_GE(result.machines, 2u);
  EXPECT_GT(result.billed, Money{5 * 300'000'000LL / 60 + 5 * 1'000'000'000LL / 60})
      << "spot, and then on demand";
  EXPECT_LT(result.took, 20min);
}

TEST(Simulation, ACrashAtEveryPointMovesNoDeadline) {
  for (std::uint32_t point = 0; point < 5; ++point) {
    for (const Duration when :
         {Duration{0}, Duration{1s}, Duration{3min}, Duration{5min}, Duration{5min + 1s}, Duration{9min}}) {
      Scenario scenario = promisedWorld();
      scenario.happenings.push_back(at(when, Happening::Kind::crash, 5s, point));
      const RunResult result = runOf(scenario);
      EXPECT_EQ(result.problems, std::vector<std::string>{}) << point;
      EXPECT_LT(result.took, 20min) << point;
    }
  }
}

// The agent on the on-demand machine hears nothing for more than three minutes, and all that was done there
// is lost.
TEST(Simulation, AMachineThatEndsItselfBecauseNobodyAnswersBreaksNoPromise) {
  Scenario scenario = promisedWorld();
  scenario.happenings[0].plan.save_every = Duration{0};
  scenario.happenings.push_back(at(12min, Happening::Kind::crash, 4min));
  const RunResult result = runOf(scenario);
  EXPECT_EQ(result.problems, std::vector<std::string>{});
  EXPECT_GT(result.took, 26min);
}

TEST(Simulation, ABudgetIsNeverExceededWhateverCrashes) {
  for (std::uint32_t point = 0; point < 5; ++point) {
    for (const Duration when : {Duration{0}, Duration{1s}, Duration{3min}, Duration{6min}}) {
      Scenario scenario = smallWorld();
      scenario.happenings[0].request.budget = {50'000'000};  // five cents: three minutes and the reserve
      scenario.happenings.push_back(at(when, Happening::Kind::crash, 1s, point));
      const RunResult result = runOf(scenario);
      EXPECT_EQ(result.problems, std::vector<std::string>{}) << point;
      EXPECT_GT(result.machines, 1u) << "it was paused, and resumed with more";
      EXPECT_EQ(result.jobs_finished, 1u);
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
