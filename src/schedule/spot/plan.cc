#include "schedule/spot/plan.h"

#include <algorithm>
#include <cmath>

namespace buoy::schedule::spot {
namespace {

constexpr double kMostLayers = 1200;
constexpr double kMostLayersAtOnce = 300;  // as many as a changeover lasts are needed while solving
constexpr std::size_t kMostStored = 96;    // layers between are blended: twice as many decide no better

Duration wholeSteps(const PlanProblem& problem) {
  const auto times = std::ceil(
      std::max(hoursOf(problem.time) / kMostLayers, hoursOf(problem.changeover) / kMostLayersAtOnce) /
      hoursOf(problem.step));
  return problem.step * std::max<std::int64_t>(1, static_cast<std::int64_t>(times));
}

// The chance that what is up longest is lost within a step, by state, and still gone at its end: what comes
// back before anybody looks was never lost.
std::vector<float> lostWithin(const AvailabilityModel& model, Duration step, AvailabilityModel::Pace pace) {
  const auto stays = model.survival(step, pace);
  const Chain alone = model.with(Together{}).after(step, pace, false, 0);
  std::vector<float> lost(kMarketStates, 0);
  for (std::size_t state = 0; state < kMarketStates; ++state) {
    if (MarketState::at(state).up == 0) continue;
    for (const Chain::Entry& entry : alone.row(state)) {
      if (MarketState::at(entry.state).up == 0) lost[state] += entry.weight;
    }
    lost[state] = std::min(lost[state], static_cast<float>(1 - stays[state]));
  }
  return lost;
}

}  // namespace

Plan::Plan(const AvailabilityModel& model, const PlanProblem& problem)
    : problem_(problem),
      step_(hoursOf(wholeSteps(problem))),
      changeover_(hoursOf(problem.changeover)),
      forced_(2 * changeover_ + hoursOf(problem.step)),
      again_(hoursOf(problem.whole_work)),
      next_(model.after(wholeSteps(problem), problem.pace, true, 2e-4)),
      during_(model.after(std::max(problem.changeover, Duration{1}), problem.pace, false, 5e-3)),
      kept_(model.after(std::max(problem.changeover, Duration{1}), problem.pace, true, 5e-3)),
      survival_(model.survival(std::max(problem.changeover, Duration{1}), problem.pace)),
      succession_(model.succession(problem.pace)) {
  lost_ = lostWithin(model, wholeSteps(problem), problem.pace);
  // Fine where slack is scarce.
  const double most = std::max(hoursOf(problem.slack), forced_) + step_;
  for (std::size_t i = 0; i < kSlacks; ++i)
    slacks_[i] = most * std::pow(static_cast<double>(i) / (kSlacks - 1), 1.7);
  by_step_ = shiftBy(step_);
  by_changeover_ = shiftBy(changeover_);
  by_half_ = shiftBy(std::max(changeover_ / 2, step_));
  solve();
}

Plan::Shift Plan::shiftBy(double hours) const {
  Shift shift;
  for (std::size_t i = 0; i < kSlacks; ++i) {
    const double slack = std::max(0.0, slacks_[i] - hours);
    std::size_t at = 0;
    while (at + 2 < kSlacks && slacks_[at + 1] <= slack) ++at;
    shift.at[i] = static_cast<std::uint16_t>(at);
    shift.share[i] = static_cast<float>((slack - slacks_[at]) / (slacks_[at + 1] - slacks_[at]));
  }
  return shift;
}

void Plan::solve() {
  layers_ = static_cast<std::size_t>(std::ceil(hoursOf(problem_.time) / step_)) + 1;
  every_ = layers_ / kMostStored + 1;
  const std::size_t depth = static_cast<std::size_t>(changeover_ / step_) + 3;
  const Values zero(kMarketStates * kSlacks, 0.0F);
  ring_.assign(depth, Layer{{zero, zero, zero}});
  blend_od_ = blend_spot_ = blend_none_ = lost_none_ = lost_od_ = lost_half_ = zero;
  stored_.clear();
  stored_.reserve(layers_ / every_ + 2);
  stored_.push_back(ring_[0]);
  for (std::size_t n = 1; n < layers_ + every_; ++n) {
    solveLayer(n);
    if (n % every_ == 0) stored_.push_back(ring_[n % ring_.size()]);
  }
  constexpr std::size_t kOthers = 6;  // of the values above, beside the layers
  peak_bytes_ = (ring_.size() + stored_.size()) * kLayerBytes + kOthers * kLayerBytes / 3;
  for (auto* const values : {&blend_od_, &blend_spot_, &blend_none_, &lost_none_, &lost_od_, &lost_half_})
    Values().swap(*values);
  std::vector<Layer>().swap(ring_);
}

// What is expected once the place that was up longest is lost, by the state in which it was: of the others,
// the one that is up longest then has not been up for longer, so sums grow with the age.
void Plan::expectLost(const Values& values, Values& out) const {
  for (std::uint8_t share = 0; share < kShares; ++share) {
    const AvailabilityModel::Succession& others = succession_[share];
    std::array<float, kSlacks> sum{};
    const float* const none = row(values, MarketState{0, 0, share}.index());
    for (std::size_t k = 0; k < kSlacks; ++k) sum[k] = static_cast<float>(others.none) * none[k];
    double chance = others.none;
    for (std::uint8_t age = 0; age < kAges; ++age) {
      const std::size_t state = MarketState{1, age, share}.index();
      const float* const from = row(values, state);
      float* const to = row(out, state);
      const auto next = static_cast<float>(others.next[age]);
      chance += others.next[age];
      const auto whole = static_cast<float>(1 / chance);
      for (std::size_t k = 0; k < kSlacks; ++k) {
        sum[k] += next * from[k];
        to[k] = whole * sum[k];
      }
    }
  }
}

// The layer so many steps before the n-th (fractions are blended), for every state and slack.
void Plan::blend(double steps_back, Held held, std::size_t n, Values& out) const {
  const auto whole = static_cast<std::size_t>(steps_back);
  const auto share = static_cast<float>(steps_back - static_cast<double>(whole));
  const auto layer = [&](std::size_t back) -> const Values& {
    const std::size_t at = n > back ? n - back : 0;
    return ring_[at % ring_.size()].of[held];
  };
  if (n <= whole) {
    std::fill(out.begin(), out.end(), 0.0F);
    return;
  }
  const float* const near = layer(whole).data();
  const float* const far = layer(whole + 1).data();
  float* const to = out.data();
  for (std::size_t i = 0; i < kMarketStates * kSlacks; ++i) to[i] = near[i] + share * (far[i] - near[i]);
}

namespace {

using Grid = std::array<float, 48>;

}  // namespace

void Plan::solveLayer(std::size_t n) {
  static_assert(std::tuple_size_v<Grid> == kSlacks);
  Layer& now = ring_[n % ring_.size()];
  const Layer& before = ring_[(n - 1) % ring_.size()];
  const double time = static_cast<double>(n) * step_;
  const double po = problem_.on_demand_price, ps = problem_.spot_price;
  if (n == 1) {
    // No time at all is left: nothing is to be done.
    for (Values& values : ring_[0].of) std::fill(values.begin(), values.end(), 0.0F);
  }
  // A layer follows from earlier ones only: a changeover that ends within a step is followed by work until
  // its end.
  const double lead = std::max(changeover_, step_);
  blend(lead / step_, on_demand, n, blend_od_);
  blend(lead / step_, spot, n, blend_spot_);
  blend(std::max(changeover_ / 2, step_) / step_, nothing, n, blend_none_);

  Grid works{}, work{};  // running within this step, and to the end; hours
  for (std::size_t k = 0; k < kSlacks; ++k) {
    work[k] = static_cast<float>(std::max(0.0, time - slacks_[k]));
    works[k] = std::min(static_cast<float>(step_), work[k]);
  }
  const auto expect = [](std::span<const Chain::Entry> row, const Values& values, Grid& sum) {
    sum.fill(0.0F);
    for (const Chain::Entry& entry : row) {
      const float* const from = &values[entry.state * kSlacks];
      for (std::size_t k = 0; k < kSlacks; ++k) sum[k] += entry.weight * from[k];
    }
  };
  const auto shifted = [](const Shift& shift, const Grid& grid, std::size_t k) {
    const float low = grid[shift.at[k]], high = grid[shift.at[k] + 1u];
    return low + shift.share[k] * (high - low);
  };
  const auto fpo = static_cast<float>(po), fps = static_cast<float>(ps);
  const auto cd = static_cast<float>(changeover_);
  const auto rest = static_cast<float>(lead - changeover_);
  // What is lost within the step or the changeover is mixed in.
  const auto mix = [](float lost, const float* after_loss, Grid& kept) {
    for (std::size_t k = 0; k < kSlacks; ++k) kept[k] += lost * (after_loss[k] - kept[k]);
  };
  expectLost(before.of[nothing], lost_none_);
  expectLost(before.of[on_demand], lost_od_);
  expectLost(blend_none_, lost_half_);
  const double after_loss = time - step_ - again_;  // slack of a job that begins again
  const bool may_begin = again_ <= 0 || time >= timeForTwice();
  Grid wait, od_stays, od_starts, spot_starts{}, spot_goes{};
  for (std::size_t state = 0; state < kMarketStates; ++state) {
    const bool up = MarketState::at(state).up != 0;
    expect(next_.row(state), before.of[nothing], wait);
    expect(next_.row(state), before.of[on_demand], od_stays);
    expect(during_.row(state), blend_od_, od_starts);
    float* const none = row(now.of[nothing], state);
    float* const od = row(now.of[on_demand], state);
    float* const sp = row(now.of[spot], state);
    const auto survives = static_cast<float>(survival_[state]);
    Grid lost{};
    if (up) {
      expect(kept_.row(state), blend_spot_, spot_starts);
      expect(next_.row(state), before.of[spot], spot_goes);
      mix(lost_[state], row(lost_none_, state), wait);
      mix(lost_[state], row(lost_od_, state), od_stays);
      if (again_ > 0) {
        Grid all_lost;
        all_lost.fill(static_cast<float>(valueAt(row(lost_none_, state), onGrid(after_loss))));
        mix(lost_[state], all_lost.data(), spot_goes);
      } else {
        mix(lost_[state], row(lost_none_, state), spot_goes);
      }
      std::copy_n(row(lost_half_, state), kSlacks, lost.begin());
    }
    for (std::size_t k = 0; k < kSlacks; ++k) {
      if (work[k] <= 0) {
        none[k] = od[k] = sp[k] = 0;
        continue;
      }
      const bool forced = slacks_[k] < forced_, stays = forced || again_ > 0;
      const float launched = cd + std::min(rest, work[k]);
      const float fresh_od =
          stays ? fpo * (cd + work[k]) : fpo * launched + shifted(by_changeover_, od_starts, k);
      float best = fresh_od;
      if (!forced) {
        best = std::min(best, shifted(by_step_, wait, k));
        if (up && may_begin) {
          const float lives = fps * launched + shifted(by_changeover_, spot_starts, k);
          const float dies = fps * cd / 2 + shifted(by_half_, lost, k);
          best = std::min(best, survives * lives + (1 - survives) * dies);
        }
      }
      none[k] = best;
      od[k] = stays ? fpo * work[k] : std::min(best, fpo * works[k] + od_stays[k]);
      sp[k] = up ? fps * works[k] + spot_goes[k] : best;
    }
  }
}

// In which spot can do all of the work and, lost at its end, on-demand can do all of it again.
double Plan::timeForTwice() const {
  return 2 * (again_ + changeover_) + hoursOf(problem_.step);
}

Plan::Between Plan::onGrid(double slack) const {
  const double at = std::pow(std::clamp(slack / slacks_[kSlacks - 1], 0.0, 1.0), 1 / 1.7) * (kSlacks - 1);
  auto k = std::min(static_cast<std::size_t>(at), kSlacks - 2);
  while (k > 0 && slacks_[k] > slack) --k;
  return {k, std::clamp((slack - slacks_[k]) / (slacks_[k + 1] - slacks_[k]), 0.0, 1.0)};
}

double Plan::valueAt(const float* row, Between place) {
  return row[place.at] + place.share * (row[place.at + 1] - row[place.at]);
}

double Plan::cost(Held held, double time, double slack, std::size_t state) const {
  const double layer = std::clamp(time / step_ / static_cast<double>(every_), 0.0,
                                  static_cast<double>(stored_.size()) - 1.001);
  const auto n = static_cast<std::size_t>(layer);
  const double share = layer - static_cast<double>(n);
  const Between place = onGrid(slack);
  const auto in = [&](std::size_t which) { return valueAt(row(stored_[which].of[held], state), place); };
  return in(n) + share * (in(n + 1) - in(n));
}

double Plan::spotLaunch(double time, double slack, std::size_t state, double price, double loss,
                        std::size_t after_loss) const {
  double lives = price * changeover_;
  for (const Chain::Entry& entry : kept_.row(state))
    lives += entry.weight * cost(spot, time - changeover_, slack - changeover_, entry.state);
  const double half = changeover_ / 2;
  const double dies = price * half + cost(nothing, time - half, slack - half, after_loss);
  return (1 - loss) * lives + loss * dies;
}

double Plan::onDemandLaunch(double time, double slack, std::size_t state) const {
  double sum = problem_.on_demand_price * changeover_;
  for (const Chain::Entry& entry : during_.row(state))
    sum += entry.weight * cost(on_demand, time - changeover_, slack - changeover_, entry.state);
  return sum;
}

double Plan::afterLoss(Held held, double time, double slack, MarketState state) const {
  const AvailabilityModel::Succession& others = succession_[state.share];
  double sum = others.none * cost(held, time, slack, MarketState{0, 0, state.share}.index());
  for (std::uint8_t age = 0; age <= state.age; ++age) {
    if (others.next[age] > 0)
      sum += others.next[age] * cost(held, time, slack, MarketState{1, age, state.share}.index());
  }
  return sum / others.sumTo(state.age);
}

double Plan::afterStep(Held held, double time, double slack, std::size_t state) const {
  double kept = 0;
  for (const Chain::Entry& entry : next_.row(state))
    kept += entry.weight * cost(held, time, slack, entry.state);
  const double lost = lost_[state];
  return lost > 0 ? (1 - lost) * kept + lost * afterLoss(held, time, slack, MarketState::at(state)) : kept;
}

double Plan::waiting(double time, double slack, std::size_t state) const {
  return afterStep(nothing, time - step_, slack - step_, state);
}

double Plan::stayingOnDemand(double time, double slack, std::size_t state) const {
  return problem_.on_demand_price * std::min(step_, std::max(0.0, time - slack)) +
         afterStep(on_demand, time - step_, slack, state);
}

}  // namespace buoy::schedule::spot
