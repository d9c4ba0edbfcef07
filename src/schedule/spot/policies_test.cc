#include "schedule/spot/policies.h"

#include <gtest/gtest.h>

#include "sim/generated_market.h"
#include "sim/optimum.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;

struct Case {
  sim::MarketModel market;
  Duration work, deadline, changeover;
};

const Case kCases[] = {
    {{.seed = 1, .ticks = 1000}, 12h, 15h, 12min},
    {{.seed = 2, .ticks = 1000}, 12h, 13h, 24min},
    {{.seed = 3, .zones = 3, .ticks = 1000}, 12h, 20h, 12min},
    {{.seed = 4, .zones = 2, .ticks = 300, .gap = 1h}, 30h, 45h, 20min},
    {{.seed = 5, .ticks = 1000, .up = {.fresh = 9, .settled = 4}}, 6h, 10h, 3min},
};

TEST(SpotPolicies, NeverMissADeadlineAndNeverBeatTheOptimum) {
  const auto planner = std::make_shared<Planner>(std::vector<History>{});
  for (const Case& each : kCases) {
    const auto market = sim::generateMarket(each.market);
    std::vector<const sim::Trace*> traces;
    for (const sim::Trace& trace : market) traces.push_back(&trace);
    sim::Window window{.work = each.work,
                       .deadline = each.deadline,
                       .changeover = each.changeover,
                       .on_demand_price = each.market.on_demand_price,
                       .spot_price = each.market.spot_price};
    for (window.start_tick = 0; sim::validate(window, traces); window.start_tick += each.market.ticks / 2) {
      const auto optimum = sim::optimalCost(window, traces);
      ASSERT_TRUE(optimum);
      for (const std::string_view name : policyNames()) {
        const auto policy = makePolicy(name, planner);
        ASSERT_TRUE(policy);
        EXPECT_EQ((*policy)->name(), name);
        const sim::WindowResult result = sim::replay(window, traces, **policy);
        EXPECT_FALSE(result.missed) << name << ", market " << each.market.seed;
        EXPECT_GE(result.cost, *optimum) << name << ", market " << each.market.seed;
      }
    }
    EXPECT_GT(window.start_tick, 0u);
  }
}

// Expected values by hand: ticks of an hour, a changeover of half an hour.
TEST(SpotPolicies, DoWhatTheirRulesSay) {
  sim::Trace trace;
  trace.gap = 1h;
  trace.available = {1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1};
  const sim::Trace* traces[] = {&trace};
  const sim::Window window{.work = 5h,
                           .deadline = 12h,
                           .changeover = 30min,
                           .on_demand_price = {4'000'000'000},
                           .spot_price = PricePerHour{1'000'000'000}};
  const auto run = [&](std::string_view name) {
    return sim::replay(window, traces, **makePolicy(name, std::shared_ptr<Planner>()));
  };
  EXPECT_EQ(run("on-demand").cost.nano_usd, 22'000'000'000);
  // 1.5 h of work by 2 h, idle until 5 h, 3.5 h of work from 5.5 h on.
  const auto spot = run("spot-first");
  EXPECT_EQ(spot.cost.nano_usd, 6'000'000'000);
  EXPECT_EQ(spot.finish, 9h);
  EXPECT_EQ(spot.preemptions, 1u);
  // 1.5 h done by 2 h, which is what is due at 3.6 h: behind at 4 h, so on-demand from there. Left for spot
  // only ahead of (t + 1 h)·5/12: 3.5 h done at 6.5 h are not yet (at 7 h: 4.0 of 3.33).
  const auto uniform = run("uniform-progress");
  EXPECT_EQ(uniform.changes, 3u);
  EXPECT_EQ(uniform.preemptions, 1u);
  EXPECT_FALSE(uniform.missed);
}

TEST(SpotPolicies, AnUnknownNameIsRefused) {
  EXPECT_FALSE(makePolicy("spot-last", std::shared_ptr<Planner>()));
}

}  // namespace
}  // namespace buoy::schedule::spot
