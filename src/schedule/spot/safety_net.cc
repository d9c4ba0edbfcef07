#include "schedule/spot/safety_net.h"

#include <algorithm>

namespace buoy::schedule::spot {
namespace {

using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

constexpr SpotDecision kOnDemand{.take = Holding::on_demand, .reason = "the deadline leaves no slack"};
constexpr SpotDecision kSave{.take = Holding::on_demand,
                             .reason = "what is not saved could not be done again in time"};

// What is left of the time once an on-demand machine has done the work.
Duration spareOf(const SpotView& view) {
  return view.time_left - view.work_left - view.changeover;
}

// Whether the deadline can still be met if what `decision` takes is lost at the worst moment before the next
// decision: work must go on on-demand then.
bool staysSafe(const SpotView& view, const SpotDecision& decision) {
  const Duration spare = spareOf(view);
  switch (decision.take) {
    case Holding::on_demand:
      return true;
    case Holding::nothing:
      return spare >= view.step + (view.holding == Holding::nothing ? Duration{} : view.at_risk);
    case Holding::spot: {
      const bool held = view.holding == Holding::spot && view.held == decision.candidate;
      // Time passes without work until the changeover ends; from then on work keeps pace.
      const Duration idle = held ? view.changeover_left : view.candidates[decision.candidate].changeover;
      return spare >= std::min(view.step, idle) + view.at_risk;
    }
  }
  return false;
}

}  // namespace

SpotDecision SafetyNet::decide(const SpotView& view) {
  // Whether this much time, rounded up to whole steps, takes all of the time left, rounded down to whole
  // steps.
  const auto fills = [&](Duration needed) {
    return (needed + view.step - Duration{1}) / view.step >= view.time_left / view.step;
  };
  const bool on_spot = view.holding == Holding::spot;
  const bool spot_works = on_spot && view.changeover_left == Duration{};
  const SpotDecision stay{
      .take = Holding::spot, .candidate = view.held, .reason = "no slack for a changeover, spot still works"};
  // Spot that works keeps pace with time, but for what a loss would undo: that is saved by going on-demand as
  // long as there is time for it.
  const bool may_stay = view.at_risk == Duration{} || spareOf(view) < Duration{};
  SpotDecision fallback = !spot_works ? kOnDemand : may_stay ? stay : kSave;

  if (!on_spot && fills(view.work_left + 2 * view.changeover)) return kOnDemand;
  if (fills(view.work_left + view.changeover)) return fallback;
  const SpotDecision decision = policy_->decide(view);
  fallback.wants_plan = decision.wants_plan;
  const bool moves = decision.take == Holding::spot && !(on_spot && decision.candidate == view.held);
  if (moves && fills(view.work_left + view.changeover + view.candidates[decision.candidate].changeover))
    return fallback;
  return staysSafe(view, decision) ? decision : fallback;
}

}  // namespace buoy::schedule::spot
