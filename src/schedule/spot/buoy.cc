#include "schedule/spot/buoy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "schedule/spot/uniform_progress.h"

namespace buoy::schedule::spot {
namespace {

using engine::Holding;
using engine::SpotCandidate;
using engine::SpotDecision;
using engine::SpotView;

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

// Which power of `step` it is nearest to, so that a plan is left only when much speaks for another one, and
// jobs share plans.
constexpr std::int32_t kNoPower = std::numeric_limits<std::int32_t>::min();  // of zero
std::int32_t nearestPower(double value, double step) {
  return value > 0 ? static_cast<std::int32_t>(std::lround(std::log(value) / std::log(step))) : kNoPower;
}
double toPower(std::int32_t power, double step) {
  return power == kNoPower ? 0 : std::pow(step, power);
}
constexpr double kPaceStep = 1.6, kPriceStep = 1.04;

// Times of plans that are solved apart: so that what is measured anew at every launch does not make another
// plan, and jobs share theirs.
constexpr double kTimeStep = 1.1;
Duration powerOfTime(double power) {
  return Duration{std::llround(std::pow(kTimeStep, power))};
}
double powerFor(Duration time) {
  return std::log(static_cast<double>(std::max(time, Duration{1}).count())) / std::log(kTimeStep);
}
Duration roundedUp(Duration time) {
  return powerOfTime(std::ceil(powerFor(time) - 1e-6));
}
Duration rounded(Duration time) {
  return powerOfTime(std::round(powerFor(time)));
}

// Reclaims are taken to come so much more often than learned: a plan that expects too few loses far more than
// one that expects too many. With several places there is nearly always one to begin with, so that a hazard
// that is too low costs slack again and again, and how alike they are is not known.
constexpr double kCaution = 1.3, kCautionOfSeveral = 2;

// ---- jobs that begin again after every loss

// Whether what is begun here now would be safe to its end: a job that begins again after a loss is taken off
// spot by the safety net when only the time to do everything on on-demand is left, and then all was in vain.
bool isTimeForTwice(const SpotView& view, const SpotCandidate& place, Duration spare = {}) {
  if (!view.begins_again) return true;
  return view.time_left >= 2 * view.work_total + place.changeover + view.changeover + view.step + spare;
}

bool isTimeForTwiceAnywhere(const SpotView& view, Duration spare = {}) {
  return std::any_of(view.candidates.begin(), view.candidates.end(),
                     [&](const SpotCandidate& place) { return isTimeForTwice(view, place, spare); });
}

// Nothing is moved: all that is done would be lost. nullopt: it needs a plan.
std::optional<SpotDecision> decideForOneThatBeginsAgain(const SpotView& view) {
  if (view.holding == Holding::on_demand)
    return SpotDecision{.take = Holding::on_demand, .reason = "leaving it would lose what is done"};
  if (view.holding == Holding::spot)
    return SpotDecision{.take = Holding::spot, .candidate = view.held, .reason = "it works"};
  // Where there is no spot at all, that is why.
  if (!view.candidates.empty() && !isTimeForTwiceAnywhere(view))
    return SpotDecision{.take = Holding::on_demand, .reason = "there is no time to do the work twice"};
  return std::nullopt;
}

}  // namespace

// ---- plans

Buoy::Known Buoy::knownOf(std::shared_ptr<Planner> planner, Duration changeover) {
  Known known{.planner = std::move(planner), .changeover = changeover};
  known.one = &known.planner->model(1);
  known.survives_changeover = &known.planner->survival(changeover);
  known.survives_hours = &known.planner->survival(kHorizon);
  return known;
}

// All but what it has learned from.
void Buoy::nameFor(const SpotView& view, const AvailabilityModel& one, engine::SpotPlan& name) {
  name.places = static_cast<std::uint32_t>(view.candidates.size());
  name.time = std::max(view.time_total, view.time_left);
  name.slack = std::max(view.time_total - view.work_total, view.time_left - view.work_left);
  name.step = view.step;
  name.changeover = view.changeover;
  if (view.plans_apart) {
    name.time = roundedUp(name.time);
    name.slack = std::min(roundedUp(name.slack), name.time);
    name.step = rounded(name.step);
    name.changeover = rounded(name.changeover);
  }
  name.on_demand_price = {view.on_demand_price.nano_usd * view.machines};
  if (view.begins_again) name.whole_work = view.plans_apart ? roundedUp(view.work_total) : view.work_total;
  AvailabilityModel::PaceMeter meter(one);
  double price = 0;
  for (const SpotCandidate& place : view.candidates) {
    price += usd(place.price, view.machines);
    meter.add(place.past);
  }
  const AvailabilityModel::Pace pace = meter.pace();
  name.pace_up = nearestPower(pace.up, kPaceStep);
  name.pace_down = nearestPower(pace.down, kPaceStep);
  name.spot_price = nearestPower(price / static_cast<double>(view.candidates.size()), kPriceStep);
}

std::shared_ptr<const Buoy::Solved> Buoy::solve(const engine::SpotPlan& wanted,
                                                std::shared_ptr<Planner> planner) {
  auto solved = std::make_shared<Solved>();
  static_cast<engine::SpotPlan&>(*solved) = wanted;
  const double caution = wanted.places > 1 ? kCautionOfSeveral : kCaution;
  solved->plan = planner->plan(wanted.places, {.time = wanted.time,
                                               .slack = wanted.slack,
                                               .step = wanted.step,
                                               .changeover = wanted.changeover,
                                               .on_demand_price = usd(wanted.on_demand_price, 1),
                                               .spot_price = toPower(wanted.spot_price, kPriceStep),
                                               .pace = {.up = caution * toPower(wanted.pace_up, kPaceStep),
                                                        .down = toPower(wanted.pace_down, kPaceStep)},
                                               .whole_work = wanted.whole_work});
  solved->together = &planner->model(wanted.places);
  solved->known = knownOf(std::move(planner), wanted.changeover);
  return solved;
}

bool Buoy::learnedFrom(const SpotView& view, const engine::SpotPlan& plan) {
  auto learned = plan.learned.begin();
  for (const SpotCandidate& place : view.candidates) {
    if (!place.source) continue;
    if (learned == plan.learned.end() || *learned != *place.source) return false;
    ++learned;
  }
  return learned == plan.learned.end();
}

bool Buoy::wantsAnother(const SpotView& view, const Solved& solved) {
  if (!learnedFrom(view, solved)) return true;
  engine::SpotPlan wanted;
  nameFor(view, *solved.known.one, wanted);
  wanted.learned = solved.learned;
  return !wanted.isFor(solved);
}

std::shared_ptr<const engine::SpotPlan> Buoy::plan(const SpotView& view) {
  if (view.candidates.empty()) return nullptr;
  engine::SpotPlan wanted;
  for (const SpotCandidate& place : view.candidates) {
    if (place.source) wanted.learned.push_back(*place.source);
  }
  std::shared_ptr<Planner> planner = planners_->of(wanted.learned);
  nameFor(view, planner->model(1), wanted);
  return solve(wanted, std::move(planner));
}

const Buoy::Known& Buoy::ownKnown(const SpotView& view) {
  if (!known_.planner || known_.changeover != view.changeover)
    known_ = knownOf(planners_->of({}), view.changeover);
  return known_;
}

const Buoy::Solved& Buoy::ownSolved(const SpotView& view) {
  engine::SpotPlan wanted;
  const Known& known = ownKnown(view);
  nameFor(view, *known.one, wanted);
  if (!solved_ || !wanted.isFor(*solved_)) solved_ = solve(wanted, known.planner);
  return *solved_;
}

// ---- what to hold

// What holding a place costs for some hours: its price, and the changeover after a loss with what work on
// demand costs more meanwhile.
double Buoy::score(const SpotView& view, const Known& known, std::size_t index) {
  const SpotCandidate& place = view.candidates[index];
  const double survives = (*known.survives_hours)[known.one->stateOf(place.past).index()];
  return usd(place.price, view.machines) * hoursOf(kHorizon) + (1 - survives) * changeoverCost(view);
}

bool Buoy::chooseBest(const SpotView& view, const Known& known, Best& best) {
  bool found = false;
  double least = 0;
  best.next_best.up = 0;
  for (std::size_t i = 0; i < view.candidates.size(); ++i) {
    const SpotCandidate& place = view.candidates[i];
    if (!place.up() || !isTimeForTwice(view, place)) continue;
    const MarketState state = known.one->stateOf(place.past);
    const double cost = score(view, known, i) + usd(place.move_cost);
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
double Buoy::launchCost(const SpotView& view, const Solved& solved, const Best& best, std::uint8_t share) {
  const SpotCandidate& place = view.candidates[best.place];
  const double time = hoursOf(view.time_left), slack = time - hoursOf(view.work_left);
  const MarketState here{1, best.state.age, share};
  const MarketState after{best.next_best.up, best.next_best.up != 0 ? best.next_best.age : std::uint8_t{0},
                          share};
  return solved.plan->spotLaunch(time, slack, here.index(), usd(place.price, view.machines),
                                 1 - (*solved.known.survives_changeover)[best.state.index()], after.index()) +
         usd(place.move_cost);
}

// Another place must be worth a changeover now.
SpotDecision Buoy::keepOrMove(const SpotView& view, const Known& known) {
  const SpotDecision stay{.take = Holding::spot, .candidate = view.held, .reason = "it works"};
  Best best;
  if (!chooseBest(view, known, best) || best.place == view.held) return stay;
  const double gain = score(view, known, view.held) - score(view, known, best.place);
  if (gain < 1.2 * changeoverCost(view) + usd(view.candidates[best.place].move_cost)) return stay;
  return {.take = Holding::spot, .candidate = best.place, .reason = "another place is worth the move"};
}

// Nothing is begun that the plan, which will be there in a moment, might not want. If it takes longer, the
// job must not fall behind for want of it. One that begins again and goes on-demand is there for good: it
// waits as long as what is asked next can still be to begin on spot.
SpotDecision Buoy::withoutPlan(const SpotView& view) {
  if (view.holding == Holding::on_demand)
    return {.take = Holding::on_demand, .reason = "its plan is being made"};
  if (view.begins_again && isTimeForTwiceAnywhere(view, view.step))
    return {.take = Holding::nothing, .reason = "its plan is being made"};
  const double passed = hoursOf(view.time_total - view.time_left);
  const double done = hoursOf(view.work_total - view.work_left);
  const double behind = passed * hoursOf(view.work_total) / hoursOf(view.time_total) - done;
  if (behind <= hoursOf(view.step)) return {.take = Holding::nothing, .reason = "its plan is being made"};
  if (view.begins_again) return {.take = Holding::on_demand, .reason = "waiting for a plan takes too long"};
  return UniformProgress().decide(view);
}

SpotDecision Buoy::decideBy(const SpotView& view, const Solved& solved) {
  const Plan& plan = *solved.plan;
  const MarketState market = solved.together->stateOf(view.candidates);
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
  if (chooseBest(view, solved.known, best))
    consider(launchCost(view, solved, best, market.share),
             {.take = Holding::spot, .candidate = best.place, .reason = "spot is the cheapest way on"});
  return decision;
}

SpotDecision Buoy::decideApart(const SpotView& view) {
  const bool on_spot = view.holding == Holding::spot;
  SpotDecision decision{.take = Holding::spot, .candidate = view.held, .reason = "it works"};
  if (!view.plan) {
    if (!on_spot) decision = withoutPlan(view);
    decision.wants_plan = true;
    return decision;
  }
  const auto* solved = dynamic_cast<const Solved*>(view.plan);
  std::shared_ptr<const Solved> again;
  if (!solved) {
    again = solve(*view.plan, planners_->of(view.plan->learned));
    solved = again.get();
  }
  // Places may have come or gone since.
  if (solved->places != view.candidates.size()) {
    if (!on_spot) decision = withoutPlan(view);
  } else {
    decision = on_spot ? keepOrMove(view, solved->known) : decideBy(view, *solved);
  }
  decision.wants_plan = wantsAnother(view, *solved);
  return decision;
}

SpotDecision Buoy::decide(const SpotView& view) {
  if (view.begins_again) {
    if (const auto decision = decideForOneThatBeginsAgain(view)) return *decision;
  }
  if (view.holding == Holding::spot &&
      (view.candidates.size() == 1 || view.changeover_left > Duration{} || view.work_left < 2 * kHorizon))
    return {.take = Holding::spot, .candidate = view.held, .reason = "it works"};
  if (view.candidates.empty()) return {.take = Holding::on_demand, .reason = "there is no spot to wait for"};
  if (view.plans_apart) return decideApart(view);
  return view.holding == Holding::spot ? keepOrMove(view, ownKnown(view)) : decideBy(view, ownSolved(view));
}

}  // namespace buoy::schedule::spot
