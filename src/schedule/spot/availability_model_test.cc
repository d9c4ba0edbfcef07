#include "schedule/spot/availability_model.h"

#include <gtest/gtest.h>

#include "schedule/spot/trace_history.h"
#include "sim/generated_market.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::AvailabilitySpan;

AvailabilityModel learned(const sim::MarketModel& market) {
  std::vector<History> histories;
  for (const sim::Trace& trace : sim::generateMarket(market)) histories.push_back(historyOf(trace, 1));
  return AvailabilityModel::learn(histories);
}

MarketState upFor(const AvailabilityModel& model, Duration age) {
  const AvailabilitySpan past[] = {{24h, true}, {1min, false}, {age, true}};
  return model.stateOf(past);
}

TEST(AvailabilityModel, FindsTheHazardThatAMarketWasMadeWith) {
  const sim::StateHazard steady{.fresh = 0.5, .settled = 0.5}, quick{.fresh = 2, .settled = 2};
  const AvailabilityModel model =
      learned({.zones = 3, .ticks = 40'000, .up = steady, .down = quick, .daily = 0, .shocks = 0});
  for (const Duration age : {Duration(10min), Duration(1h), Duration(3h)})
    EXPECT_NEAR(model.hazard(upFor(model, age)), 0.5, 0.12);
}

TEST(AvailabilityModel, FindsThatHazardFallsWithAge) {
  const AvailabilityModel model = learned(
      {.zones = 3, .ticks = 40'000, .up = {.fresh = 3, .settled = 0.02, .settling = 30min}, .daily = 0});
  const double fresh = model.hazard(upFor(model, 4min)), old = model.hazard(upFor(model, 10h));
  EXPECT_GT(fresh, 2.0);
  EXPECT_LT(old, 0.5);
}

TEST(AvailabilityModel, WithoutAnyPastItGuessesAnOrdinaryMarket) {
  const AvailabilityModel model = AvailabilityModel::learn({});
  EXPECT_GT(model.hazard(upFor(model, 4min)), model.hazard(upFor(model, 5h)));
  const auto survives = model.survival(1h, {});
  EXPECT_LT(survives[upFor(model, 4min).index()], survives[upFor(model, 5h).index()]);
}

TEST(AvailabilityModel, ChancesAddUpToOne) {
  const AvailabilityModel model = learned({.zones = 1, .ticks = 5000});
  for (const bool kept : {false, true}) {
    const Chain chain = model.after(1h, {.up = 2, .down = 0.5}, kept, 1e-4);
    for (std::size_t state = 0; state < kMarketStates; ++state) {
      double sum = 0;
      for (const Chain::Entry& entry : chain.row(state)) {
        sum += static_cast<double>(entry.weight);
        EXPECT_TRUE(!kept || !MarketState::at(state).up || MarketState::at(entry.state).up);
      }
      EXPECT_NEAR(sum, 1, 1e-4);
    }
  }
}

TEST(AvailabilityModel, MeasuresHowMuchFasterAMarketChanges) {
  const AvailabilityModel model = AvailabilityModel::learn({});
  AvailabilityModel::PaceMeter nothing(model), hectic(model), calm(model);
  EXPECT_EQ(nothing.pace(), AvailabilityModel::Pace{});
  const std::vector<AvailabilitySpan> calm_past{{300h, true}, {1h, false}, {300h, true}};
  std::vector<AvailabilitySpan> hectic_past;
  for (int i = 0; i < 100; ++i) hectic_past.push_back({4min, i % 2 == 0});
  hectic.add(hectic_past);
  calm.add(calm_past);
  EXPECT_GT(hectic.pace().up, 1.5);
  EXPECT_GT(hectic.pace().down, 1.5);
  EXPECT_LT(calm.pace().up, 0.8);
}

}  // namespace
}  // namespace buoy::schedule::spot
