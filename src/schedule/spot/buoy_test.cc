#include "schedule/spot/buoy.h"

#include <gtest/gtest.h>

#include "schedule/spot/policies.h"
#include "schedule/spot/trace_history.h"
#include "sim/generated_market.h"
#include "sim/optimum.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::AvailabilitySpan;
using engine::Holding;
using engine::SpotCandidate;
using engine::SpotView;

class BuoyTest : public ::testing::Test {
 protected:
  SpotView view(Duration work_left, Duration time_left) const {
    return {.work_total = 12h,
            .work_left = work_left,
            .time_total = 20h,
            .time_left = time_left,
            .changeover = 12min,
            .step = 5min,
            .on_demand_price = {3'000'000'000},
            .candidates = candidates_};
  }
  void place(std::vector<AvailabilitySpan> past, std::int64_t nano_usd = 1'000'000'000) {
    pasts_.push_back(std::make_unique<std::vector<AvailabilitySpan>>(std::move(past)));
    candidates_.push_back({.price = {nano_usd}, .changeover = 12min, .past = *pasts_.back()});
  }
  Holding taken(const SpotView& seen) { return buoy_.decide(seen).take; }

  std::vector<std::unique_ptr<std::vector<AvailabilitySpan>>> pasts_;
  std::vector<SpotCandidate> candidates_;
  std::shared_ptr<Planner> planner_ = std::make_shared<Planner>(std::vector<History>{});
  Buoy buoy_{planner_};
};

TEST_F(BuoyTest, WaitsWithMuchSlackAndGoesOnDemandWithLittle) {
  place({{10h, true}, {5min, false}});
  EXPECT_EQ(taken(view(12h, 20h)), Holding::nothing);
  EXPECT_EQ(taken(view(12h, 12h + 40min)), Holding::on_demand);
}

TEST_F(BuoyTest, ApartItWaitsForItsPlanAndThenAnswersAsWithIt) {
  place({{10h, true}});
  SpotView seen = view(12h, 20h);
  const engine::SpotDecision at_once = buoy_.decide(seen);
  seen.plans_apart = true;
  const engine::SpotDecision without = buoy_.decide(seen);
  EXPECT_EQ(without.take, Holding::nothing);
  EXPECT_TRUE(without.wants_plan);
  seen.holding = Holding::on_demand;
  EXPECT_EQ(buoy_.decide(seen).take, Holding::on_demand) << "what is held goes on";
  seen.holding = Holding::nothing;
  const auto plan = buoy_.plan(seen);
  const std::size_t solved = planner_->solved();
  seen.plan = plan.get();
  const engine::SpotDecision with = buoy_.decide(seen);
  EXPECT_EQ(with, at_once);
  EXPECT_EQ(with.reason, at_once.reason);
  EXPECT_FALSE(with.wants_plan);
  const engine::SpotPlan name = *plan;  // as it is kept in a record
  seen.plan = &name;
  EXPECT_EQ(buoy_.decide(seen).reason, at_once.reason);
  EXPECT_EQ(planner_->solved(), solved) << "all the same plan";
  candidates_[0].price = {2'000'000'000};
  seen.candidates = candidates_;
  EXPECT_TRUE(buoy_.decide(seen).wants_plan);
}

TEST_F(BuoyTest, ApartWithoutAPlanItDoesNotFallBehind) {
  place({{10h, true}, {5min, false}});
  SpotView seen = view(12h, 20h - 9min);  // behind by 5.4 minutes, asked every 5
  seen.plans_apart = true;
  EXPECT_EQ(buoy_.decide(seen).take, Holding::on_demand);
  seen.time_left = 20h - 8min;
  EXPECT_EQ(buoy_.decide(seen).take, Holding::nothing);
  EXPECT_EQ(planner_->solved(), 0u);
}

TEST_F(BuoyTest, TakesSpotThatIsUpAndKeepsIt) {
  place({{10h, true}});
  SpotView seen = view(12h, 20h);
  EXPECT_EQ(taken(seen), Holding::spot);
  seen.holding = Holding::spot;
  EXPECT_EQ(taken(seen), Holding::spot);
}

TEST_F(BuoyTest, ChoosesThePlaceThatWillLast) {
  place({{10h, false}, {5min, true}});
  place({{1h, false}, {9h, true}});
  EXPECT_EQ(buoy_.decide(view(12h, 20h)).candidate, 1u);
}

TEST_F(BuoyTest, MovesOnlyForALargeGain) {
  place({{9h, true}}, 1'000'000'000);
  place({{9h, true}}, 980'000'000);
  SpotView seen = view(12h, 20h);
  seen.holding = Holding::spot;
  EXPECT_EQ(buoy_.decide(seen).candidate, 0u);
  candidates_[1].price = {500'000'000};
  seen.candidates = candidates_;
  EXPECT_EQ(buoy_.decide(seen).candidate, 1u);
}

TEST_F(BuoyTest, PlansAgainOnlyWhenPricesOrTheMarketChanged) {
  place({{10h, true}, {5min, false}});
  place({{9h, true}, {20min, false}});
  buoy_.decide(view(12h, 20h));
  ASSERT_EQ(planner_->solved(), 1u);
  for (int minutes = 0; minutes < 600; minutes += 5) {
    pasts_[0]->back().length += 5min;
    candidates_[0].past = *pasts_[0];
    candidates_[0].price.nano_usd += 1'000'000 * (minutes % 3 - 1);
    buoy_.decide(view(12h - 1min * minutes, 20h - 1min * minutes));
  }
  EXPECT_LE(planner_->solved(), 2u);
  const std::size_t before = planner_->solved();
  candidates_[0].price = candidates_[1].price = {1'500'000'000};
  buoy_.decide(view(2h, 10h));
  EXPECT_EQ(planner_->solved(), before + 1);
  Buoy other(planner_);
  other.decide(view(2h, 10h));
  EXPECT_EQ(planner_->solved(), before + 1) << "jobs share plans";
}

TEST_F(BuoyTest, AJobThatKeepsNothingTakesSpotOnlyWhereThereIsTimeToDoEverythingTwice) {
  place({{10h, true}});
  SpotView seen = view(12h, 20h);
  EXPECT_EQ(taken(seen), Holding::spot);
  seen.begins_again = true;
  EXPECT_EQ(buoy_.decide(seen).take, Holding::on_demand);
  EXPECT_EQ(buoy_.decide(seen).reason, "there is no time to do the work twice");
  seen.work_total = seen.work_left = 2h;
  seen.time_left = 10h;
  EXPECT_EQ(taken(seen), Holding::spot);
  seen.time_left = 2 * 2h + 2 * 12min + 5min;
  EXPECT_EQ(taken(seen), Holding::spot) << "just enough";
  seen.time_left -= 1s;
  EXPECT_EQ(taken(seen), Holding::on_demand);
  // What has begun is never left: all would be lost.
  seen.holding = Holding::on_demand;
  seen.time_left = 20h;
  EXPECT_EQ(taken(seen), Holding::on_demand);
  place({{10h, true}}, 1'000'000);
  seen.candidates = candidates_;
  seen.holding = Holding::spot;
  EXPECT_EQ(buoy_.decide(seen).candidate, 0u) << "not even for a place that costs next to nothing";
}

TEST_F(BuoyTest, AJobThatKeepsNothingTakesThePlaceThatIsSoonEnough) {
  place({{10h, true}}, 500'000'000);
  candidates_[0].changeover = 10h;
  place({{10h, true}});
  SpotView seen = view(6h, 18h);
  seen.begins_again = true;
  seen.work_total = 6h;
  EXPECT_EQ(taken(seen), Holding::spot);
  EXPECT_EQ(buoy_.decide(seen).candidate, 1u) << "the cheaper one takes too long";
}

TEST_F(BuoyTest, AJobThatKeepsNothingWaitsForItsPlanWhileThereIsTimeForTwice) {
  place({{10h, true}});
  SpotView seen = view(2h, 15h);
  seen.begins_again = seen.plans_apart = true;
  seen.work_total = 2h;
  EXPECT_EQ(taken(seen), Holding::nothing);
  EXPECT_TRUE(buoy_.decide(seen).wants_plan);
  seen.time_left = 2 * 2h + 2 * 12min + 2 * 5min;
  EXPECT_EQ(taken(seen), Holding::nothing);
  seen.time_left -= 1s;
  EXPECT_EQ(taken(seen), Holding::on_demand);
  EXPECT_EQ(buoy_.decide(seen).reason, "waiting for a plan takes too long");
}

TEST_F(BuoyTest, JobsThatKeepNothingSharePlansThatAreMadeApart) {
  place({{10h, true}});
  SpotView seen = view(2h, 15h);
  seen.begins_again = seen.plans_apart = true;
  seen.work_total = 2h;
  const auto plan = buoy_.plan(seen);
  EXPECT_GE(plan->whole_work, 2h);
  seen.work_total -= 1s;
  EXPECT_TRUE(buoy_.plan(seen)->isFor(*plan));
}

TEST_F(BuoyTest, AJobThatKeepsNothingLetsSpotThatWillHardlyLastPass) {
  place({{1h, false}, {6h, true}, {1h, false}, {5min, true}});
  SpotView seen = view(8h, 19h);
  EXPECT_EQ(taken(seen), Holding::spot);
  seen.begins_again = true;
  seen.work_total = 8h;
  EXPECT_NE(taken(seen), Holding::spot);
}

TEST(Plan, AJobThatBeginsAgainPaysForEverythingThatALossTakes) {
  const auto model = AvailabilityModel::learn({});
  PlanProblem problem{
      .time = 30h, .slack = 20h, .step = 5min, .changeover = 12min, .on_demand_price = 3, .spot_price = 1};
  const auto cost = [&](double reclaims, Duration whole_work, double time) {
    problem.pace.up = reclaims;
    problem.whole_work = whole_work;
    return Plan(model, problem).cost(Plan::nothing, time, time - 10, MarketState{1, 12, 3}.index());
  };
  EXPECT_NEAR(cost(1e-6, 10h, 30), 10.2, 0.1) << "nothing is ever lost";
  EXPECT_NEAR(cost(30, 10h, 30), 3 * 10.2, 0.5) << "it is nearly always lost";
  EXPECT_NEAR(cost(1, 10h, 20), 3 * 10.2, 0.1) << "there is no time for twice";
  EXPECT_GT(cost(1, 10h, 30), 1.1 * cost(1, Duration{}, 30));
  EXPECT_LE(cost(1, 10h, 30), 3 * 10.2 + 0.1) << "on-demand can always be had";
}

TEST(Plan, TakesLittleMemoryWhateverIsPlanned) {
  constexpr std::size_t kMost = std::size_t{64} << 20;
  const auto model = AvailabilityModel::learn({});
  const PlanProblem problems[] = {
      {.time = 52h, .slack = 4h, .step = 195s, .changeover = 12min},
      {.time = 2000h, .slack = 1000h, .step = 1s, .changeover = 12min},
      {.time = 100h, .slack = 60h, .step = 195s, .changeover = 50h},
  };
  for (PlanProblem problem : problems) {
    problem.on_demand_price = 3;
    problem.spot_price = 1;
    const Plan plan(model, problem);
    EXPECT_LE(plan.peakBytes(), kMost) << formatDuration(problem.time);
    EXPECT_LE(plan.keptBytes(), plan.peakBytes());
    EXPECT_GT(plan.keptBytes(), 1u << 20);
  }
}

TEST_F(BuoyTest, WhereThereIsNoSpotItGoesOnDemand) {
  SpotView seen = view(12h, 20h);
  for (const bool begins_again : {false, true}) {
    seen.begins_again = begins_again;
    EXPECT_EQ(taken(seen), Holding::on_demand);
    EXPECT_EQ(buoy_.decide(seen).reason, "there is no spot to wait for");
  }
}

TEST(BuoyPolicy, CostsLessThanUniformProgressOnMarketsItHasNotSeen) {
  const auto past = sim::generateMarket({.seed = 21, .zones = 3, .ticks = 8000});
  std::vector<History> learned;
  for (const sim::Trace& trace : past) learned.push_back(historyOf(trace, 1));
  const auto planner = std::make_shared<Planner>(std::move(learned));
  const auto market = sim::generateMarket({.seed = 22, .zones = 2, .ticks = 4000});
  std::int64_t buoy = 0, uniform = 0, optimum = 0;
  for (const sim::Trace& trace : market) {
    const sim::Trace* traces[] = {&trace};
    sim::Window window{.work = 12h,
                       .deadline = 15h,
                       .changeover = 12min,
                       .on_demand_price = {3'060'000'000},
                       .spot_price = PricePerHour{973'100'000}};
    for (; sim::validate(window, traces); window.start_tick += 150) {
      const auto cost = [&](std::string_view name) {
        return sim::replay(window, traces, **makePolicy(name, planner)).cost.nano_usd;
      };
      buoy += cost("buoy");
      uniform += cost("uniform-progress");
      optimum += sim::optimalCost(window, traces)->nano_usd;
    }
  }
  EXPECT_GE(buoy, optimum);
  EXPECT_LT(buoy, uniform);
}

// With time for two, four and eight times the work.
TEST(BuoyPolicy, AJobThatKeepsNothingIsInTimeAndPaysNoMoreThanOnDemand) {
  const auto planner = std::make_shared<Planner>(std::vector<History>{});
  const auto market = sim::generateMarket({.seed = 23, .zones = 2, .ticks = 6000});
  for (const Duration work : {2h, 4h, 8h}) {
    std::int64_t buoy = 0, on_demand = 0;
    for (const sim::Trace& trace : market) {
      const sim::Trace* traces[] = {&trace};
      sim::Window window{.work = work,
                         .deadline = 17h,
                         .changeover = 12min,
                         .on_demand_price = {3'060'000'000},
                         .spot_price = PricePerHour{973'100'000},
                         .saves = sim::Saves{.interval = sim::Saves::kNever}};
      for (; sim::validate(window, traces); window.start_tick += 100) {
        const auto run = [&](std::string_view name) {
          const sim::WindowResult result = sim::replay(window, traces, **makePolicy(name, planner));
          EXPECT_FALSE(result.missed);
          return result.cost.nano_usd;
        };
        buoy += run("buoy");
        on_demand += run("on-demand");
      }
    }
    EXPECT_LT(buoy, on_demand) << formatDuration(work);
  }
}

}  // namespace
}  // namespace buoy::schedule::spot
