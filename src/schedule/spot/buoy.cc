#include "schedule/spot/buoy.h"

#include <algorithm>
#include <cmath>

#include "schedule/spot/group.h"

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;
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

// In steps of three fifths, so that a plan is left only when much speaks for another one.
double coarse(double pace) {
  constexpr double kStep = 1.6;
  return std::pow(kStep, std::round(std::log(pace) / std::log(kStep)));
}

// Reclaims are taken to come so much more often than learned: a plan that expects too few loses far more than
// one that expects too many.
constexpr double kCaution = 1.15;
constexpr double kHandoverPrior = 5;  // events: several places show soon how they are

}  // namespace

const Plan& Buoy::planFor(const SpotView& view, std::span<const AvailabilitySpan> past) {
  const Planner::Group& group = planner_->group(view.candidates.size());
  PlanProblem wanted{.time = std::max(view.time_total, view.time_left),
                     .slack = std::max(view.time_total - view.work_total, view.time_left - view.work_left),
                     .step = view.step,
                     .changeover = view.changeover,
                     .on_demand_price = usd(view.on_demand_price, view.machines),
                     .spot_price = 0,
                     .pace = {},
                     .handovers = group.handovers};
  AvailabilityModel::PaceMeter joint(group.model), each(planner_->group(1).model, kHandoverPrior);
  joint.add(past);
  wanted.pace = {.up = kCaution * coarse(joint.pace().up), .down = coarse(joint.pace().down)};
  for (const SpotCandidate& place : view.candidates) {
    wanted.spot_price += usd(place.price, view.machines);
    each.add(place.past);
  }
  wanted.handovers *= coarse(each.pace().up);
  wanted.spot_price /= static_cast<double>(view.candidates.size());
  const auto near = [](double a, double b) { return std::fabs(a - b) <= 0.02 * std::max(a, b); };
  if (plan_ && near(wanted.spot_price, problem_.spot_price)) wanted.spot_price = problem_.spot_price;
  if (!plan_ || wanted != problem_) {
    problem_ = wanted;
    plan_ = planner_->plan(group, wanted);
  }
  return *plan_;
}

void Buoy::prepareSurvival(const SpotView& view) {
  if (survival_of_ == view.changeover) return;
  survival_of_ = view.changeover;
  const AvailabilityModel& model = planner_->group(1).model;
  survives_changeover_ = model.survival(std::max(view.changeover, Duration{1}), {});
  survives_hours_ = model.survival(kHorizon, {});
}

// What holding a place costs for some hours: its price, and the changeover after a loss with what work on
// demand costs more meanwhile.
double Buoy::score(const SpotView& view, std::size_t index) const {
  const SpotCandidate& place = view.candidates[index];
  const double survives = survives_hours_[planner_->group(1).model.stateOf(place.past).index()];
  return usd(place.price, view.machines) * hoursOf(kHorizon) + (1 - survives) * changeoverCost(view);
}

bool Buoy::chooseBest(const SpotView& view, Best& best) {
  prepareSurvival(view);
  bool found = false;
  double least = 0;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    const SpotCandidate& place = view.candidates[i];
    if (!place.up()) continue;
    const double cost = score(view, i) + usd(place.move_cost);
    best.alone = !found;
    if (found && cost >= least) continue;
    found = true;
    least = cost;
    best.place = i;
    best.loss = 1 - survives_changeover_[planner_->group(1).model.stateOf(place.past).index()];
  }
  return found;
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
  std::vector<AvailabilitySpan> joint;
  std::span<const AvailabilitySpan> past = view.candidates.front().past;
  if (view.candidates.size() > 1) past = joint = together(view.candidates);
  const Plan& plan = planFor(view, past);
  const std::size_t state = planner_->group(view.candidates.size()).model.stateOf(past).index();
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
  if (chooseBest(view, best)) {
    const SpotCandidate& place = view.candidates[best.place];
    MarketState after = MarketState::at(state);
    if (best.alone) after.up = after.age = 0;
    consider(plan.spotLaunch(time, slack, state, usd(place.price, view.machines), best.loss, after.index()) +
                 usd(place.move_cost),
             {.take = Holding::spot, .candidate = best.place, .reason = "spot is the cheapest way on"});
  }
  return decision;
}

}  // namespace buoy::schedule::spot
