#include "schedule/spot/buoy.h"

#include <algorithm>
#include <cmath>

namespace buoy::schedule::spot {
namespace {

using engine::Holding;
using engine::SpotCandidate;
using engine::SpotDecision;
using engine::SpotView;

double hoursOf(Duration duration) {
  return static_cast<double>(duration.count()) / 3.6e9;
}

double usd(PricePerHour price, std::int32_t machines) {
  return static_cast<double>(price.nano_usd) / 1e9 * machines;
}

double usd(Money money) {
  return static_cast<double>(money.nano_usd) / 1e9;
}

constexpr Duration kHorizon = std::chrono::hours{4};

// What a changeover costs: the machine's time, and slack, which is worth what on-demand costs more.
double changeoverCost(const SpotView& view) {
  return hoursOf(view.changeover) * usd(view.on_demand_price, view.machines);
}

// To a power of `step`, so that a plan is left only when much speaks for another one, and jobs share plans.
double coarse(double value, double step) {
  if (!(value > 0)) return 0;
  return std::pow(step, std::round(std::log(value) / std::log(step)));
}
constexpr double kPaceStep = 1.6, kPriceStep = 1.04;

// Reclaims are taken to come so much more often than learned: a plan that expects too few loses far more than
// one that expects too many. With several places there is nearly always one to begin with, so that a hazard
// that is too low costs slack again and again, and how alike they are is not known.
constexpr double kCaution = 1.3, kCautionOfSeveral = 2;

}  // namespace

const Plan& Buoy::planFor(const SpotView& view) {
  PlanProblem wanted{.time = std::max(view.time_total, view.time_left),
                     .slack = std::max(view.time_total - view.work_total, view.time_left - view.work_left),
                     .step = view.step,
                     .changeover = view.changeover,
                     .on_demand_price = usd(view.on_demand_price, view.machines),
                     .spot_price = 0,
                     .pace = {}};
  AvailabilityModel::PaceMeter meter(one_);
  for (const SpotCandidate& place : view.candidates) {
    wanted.spot_price += usd(place.price, view.machines);
    meter.add(place.past);
  }
  const AvailabilityModel::Pace pace = meter.pace();
  const double caution = view.candidates.size() > 1 ? kCautionOfSeveral : kCaution;
  wanted.pace = {.up = caution * coarse(pace.up, kPaceStep), .down = coarse(pace.down, kPaceStep)};
  wanted.spot_price /= static_cast<double>(view.candidates.size());
  wanted.spot_price = coarse(wanted.spot_price, kPriceStep);
  if (!plan_ || wanted != problem_) {
    problem_ = wanted;
    plan_ = planner_->plan(view.candidates.size(), wanted);
  }
  return *plan_;
}

void Buoy::prepareSurvival(const SpotView& view) {
  if (survival_of_ == view.changeover) return;
  survival_of_ = view.changeover;
  survives_changeover_ = &planner_->survival(view.changeover);
  survives_hours_ = &planner_->survival(kHorizon);
}

// What holding a place costs for some hours: its price, and the changeover after a loss with what work on
// demand costs more meanwhile.
double Buoy::score(const SpotView& view, std::size_t index) const {
  const SpotCandidate& place = view.candidates[index];
  const double survives = (*survives_hours_)[one_.stateOf(place.past).index()];
  return usd(place.price, view.machines) * hoursOf(kHorizon) + (1 - survives) * changeoverCost(view);
}

bool Buoy::chooseBest(const SpotView& view, Best& best) {
  prepareSurvival(view);
  bool found = false;
  double least = 0;
  best.next_best.up = 0;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    const SpotCandidate& place = view.candidates[i];
    if (!place.up()) continue;
    const MarketState state = one_.stateOf(place.past);
    const double cost = score(view, i) + usd(place.move_cost);
    if (found && cost >= least) {
      if (best.next_best.up == 0 || state.age > best.next_best.age) best.next_best = state;
      continue;
    }
    if (found) best.next_best = best.state;
    found = true;
    least = cost;
    best.place = i;
    best.state = state;
  }
  return found;
}

// `share`: of all places together.
double Buoy::launchCost(const SpotView& view, const Plan& plan, const Best& best, std::uint8_t share) const {
  const SpotCandidate& place = view.candidates[best.place];
  const double time = hoursOf(view.time_left), slack = time - hoursOf(view.work_left);
  const MarketState here{1, best.state.age, share};
  const MarketState after{best.next_best.up, best.next_best.up != 0 ? best.next_best.age : std::uint8_t{0},
                          share};
  return plan.spotLaunch(time, slack, here.index(), usd(place.price, view.machines),
                         1 - (*survives_changeover_)[best.state.index()], after.index()) +
         usd(place.move_cost);
}

// Another place must be worth a changeover now.
SpotDecision Buoy::keepOrMove(const SpotView& view) {
  const SpotDecision stay{.take = Holding::spot, .candidate = view.held, .reason = "it works"};
  Best best;
  if (view.candidates.size() == 1 || view.changeover_left > Duration{} || view.work_left < 2 * kHorizon)
    return stay;
  if (!chooseBest(view, best) || best.place == view.held) return stay;
  const double gain = score(view, view.held) - score(view, best.place);
  if (gain < 1.2 * changeoverCost(view) + usd(view.candidates[best.place].move_cost)) return stay;
  return {.take = Holding::spot, .candidate = best.place, .reason = "another place is worth the move"};
}

SpotDecision Buoy::decide(const SpotView& view) {
  if (view.holding == Holding::spot) return keepOrMove(view);
  if (view.candidates.empty()) return {.take = Holding::on_demand, .reason = "there is no spot to wait for"};
  const Plan& plan = planFor(view);
  const MarketState market = planner_->model(view.candidates.size()).stateOf(view.candidates);
  const std::size_t state = market.index();
  const double time = hoursOf(view.time_left), slack = time - hoursOf(view.work_left);

  // Waiting first: of options that cost the same, the one that commits to least.
  SpotDecision decision{.take = Holding::nothing, .reason = "spot is likely to come in time"};
  double least = plan.waiting(time, slack, state);
  const auto consider = [&](double cost, const SpotDecision& option) {
    if (cost >= least) return;
    least = cost;
    decision = option;
  };
  if (view.holding == Holding::on_demand) {
    const double left = hoursOf(view.changeover_left);
    consider(plan.stayingOnDemand(time - left, slack - left, state) +
                 left * usd(view.on_demand_price, view.machines),
             {.take = Holding::on_demand, .reason = "leaving on-demand would not pay"});
  } else {
    consider(plan.onDemandLaunch(time, slack, state),
             {.take = Holding::on_demand, .reason = "waiting would cost more"});
  }
  Best best;
  if (chooseBest(view, best))
    consider(launchCost(view, plan, best, market.share),
             {.take = Holding::spot, .candidate = best.place, .reason = "spot is the cheapest way on"});
  return decision;
}

}  // namespace buoy::schedule::spot
