#include "schedule/spot/safety_net.h"

#include <gtest/gtest.h>

#include "sim/generated_market.h"
#include "sim/random.h"
#include "sim/window.h"

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

// Anything that is allowed, as unwise as can be.
class Reckless final : public engine::SpotPolicy {
 public:
  explicit Reckless(std::uint64_t seed) : random_(seed), calm_(1 + random_.below(50)) {}
  std::string_view name() const override { return "reckless"; }
  SpotDecision decide(const SpotView& view) override {
    if (!random_.oneIn(calm_)) {
      const bool gone = last_.take == Holding::spot && !view.candidates[last_.candidate].up();
      return gone ? SpotDecision{} : last_;
    }
    const std::size_t choice = random_.below(static_cast<std::uint32_t>(view.candidates.size() + 2));
    if (choice == 0) {
      last_ = {};
    } else if (choice == 1) {
      last_ = {.take = Holding::on_demand};
    } else if (view.candidates[choice - 2].up()) {
      last_ = {.take = Holding::spot, .candidate = choice - 2};
    } else {
      last_ = {};
    }
    return last_;
  }

 private:
  sim::Random random_;
  std::uint32_t calm_;
  SpotDecision last_;
};

TEST(SafetyNet, NoPolicyMissesADeadlineThatWasFeasible) {
  sim::Random random(11);
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    const Duration gap{random.between(std::int64_t{1'000'000}, std::int64_t{5'000'000'000})};
    const auto market = sim::generateMarket({.seed = seed,
                                             .zones = 1 + random.below(3),
                                             .ticks = 200,
                                             .gap = gap,
                                             .up = {.fresh = random.real() * 20, .settled = random.real()}});
    std::vector<const sim::Trace*> traces;
    for (const sim::Trace& trace : market) traces.push_back(&trace);
    sim::Window window{.changeover = Duration{random.between(0, 5 * gap.count())},
                       .on_demand_price = {3'000'000'000}};
    window.work = Duration{random.between(1, 150 * gap.count())};
    if (random.oneIn(2)) {  // then work is lost, too
      const Duration interval = random.oneIn(4) ? sim::Saves::kNever : random.between(gap / 3, 9 * gap);
      window.saves = {.interval = interval,
                      .cost = random.between(Duration{}, gap / 20),
                      .unnoticed = random.real(),
                      .seed = seed};
    }
    const Duration least = sim::runningTime(window) + window.changeover;
    // Often there is no slack at all, or hardly any.
    const Duration slack{random.oneIn(3) ? random.below(3) : random.between(0, 40 * gap.count())};
    window.deadline = least + slack;
    ASSERT_TRUE(sim::validate(window, traces));
    SafetyNet net(std::make_unique<Reckless>(seed));
    EXPECT_FALSE(sim::replay(window, traces, net).missed) << "seed " << seed;
  }
}

// A view with 10 h of work left, ticks of an hour and a changeover of half an hour.
SpotView viewOf(std::span<const engine::SpotCandidate> candidates, Duration time_left) {
  return {.work_total = 20h,
          .work_left = 10h,
          .time_total = 40h,
          .time_left = time_left,
          .changeover = 30min,
          .step = 1h,
          .candidates = candidates};
}

class Says final : public engine::SpotPolicy {
 public:
  explicit Says(SpotDecision answer) : answer_(answer) {}
  std::string_view name() const override { return "says"; }
  SpotDecision decide(const SpotView&) override { return answer_; }

 private:
  SpotDecision answer_;
};

TEST(SafetyNet, LetsThroughWhatIsSafeAndNothingElse) {
  const engine::AvailabilitySpan up[] = {{.length = 2h, .up = true}};
  const engine::SpotCandidate zone{.changeover = 30min, .past = up};
  const engine::SpotCandidate zones[] = {zone, zone};
  const auto answer = [&](SpotDecision inner, Duration time_left, Holding holding, Duration changeover_left) {
    SpotView view = viewOf(zones, time_left);
    view.holding = holding;
    view.changeover_left = changeover_left;
    SafetyNet net(std::make_unique<Says>(inner));
    return net.decide(view);
  };
  const SpotDecision wait{}, spot{.take = Holding::spot}, on_demand{.take = Holding::on_demand};
  const SpotDecision other{.take = Holding::spot, .candidate = 1};
  // w + 2d = 11 h: with 12 h there is time, with 11 h 59 min (11 whole steps) there is none.
  EXPECT_EQ(answer(wait, 12h, Holding::nothing, 0h), wait);
  EXPECT_EQ(answer(wait, 12h - 1min, Holding::nothing, 0h), on_demand);
  EXPECT_EQ(answer(spot, 12h - 1min, Holding::on_demand, 0h), on_demand);
  // w + d = 10.5 h fills 11 steps: spot that works goes on, whatever the policy wants.
  EXPECT_EQ(answer(spot, 11h, Holding::spot, 0h), spot);
  EXPECT_EQ(answer(wait, 11h, Holding::spot, 0h), spot);
  EXPECT_EQ(answer(spot, 11h, Holding::spot, 1min), on_demand);
  // A move costs a changeover, and so may its end.
  EXPECT_EQ(answer(other, 13h, Holding::spot, 0h), other);
  EXPECT_EQ(answer(other, 11h + 59min, Holding::spot, 0h), spot);
}

TEST(SafetyNet, TakesWhatIsNotSavedToOnDemandInTime) {
  const engine::AvailabilitySpan up[] = {{.length = 2h, .up = true}};
  const engine::SpotCandidate zones[] = {{.changeover = 30min, .past = up}};
  const auto answer = [&](Duration time_left, Duration at_risk) {
    SpotView view = viewOf(zones, time_left);
    view.holding = Holding::spot;
    view.at_risk = at_risk;
    SafetyNet net(std::make_unique<Says>(SpotDecision{.take = Holding::spot}));
    return net.decide(view);
  };
  EXPECT_EQ(answer(13h + 30min, 3h).take, Holding::spot);
  EXPECT_EQ(answer(13h + 29min, 3h).take, Holding::on_demand);
  EXPECT_EQ(answer(13h + 29min, 3h).reason, "what is not saved could not be done again in time");
  EXPECT_EQ(answer(10h + 29min, 3h).take, Holding::spot) << "on-demand would come too late already";
}

}  // namespace
}  // namespace buoy::schedule::spot
