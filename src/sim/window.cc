#include "sim/window.h"

#include <algorithm>

#include "base/least_time.h"
#include "base/strings.h"
#include "sim/random.h"

namespace buoy::sim {
namespace {

using engine::AvailabilitySpan;
using engine::Holding;
using engine::SpotCandidate;
using engine::SpotDecision;
using engine::SpotView;

constexpr Duration kLongest = std::chrono::hours{24 * 365};
constexpr std::int32_t kMostMachines = 1'000'000;

// Everything that changes during a replay.
class Replay {
 public:
  Replay(const Window& window, std::span<const Trace* const> traces)
      : window_(window), traces_(traces), past_(traces.size()), candidates_(traces.size()) {
    view_.work_total = view_.work_left = runningTime(window);
    view_.time_total = window.deadline;
    view_.changeover = window.changeover;
    view_.step = traces.front()->gap;
    view_.on_demand_price = window.on_demand_price;
    view_.machines = window.machines;
    view_.begins_again = window.saves && window.saves->interval == Saves::kNever;
    places_.reserve(traces.size());
    for (const Trace* const trace : traces) places_.push_back(trace->place());
  }

  WindowResult run(engine::SpotPolicy& policy) {
    while (view_.work_left > Duration{}) {
      observe();
      // Whoever has missed the deadline is to end soon.
      apply(view_.time_left > Duration{} ? policy.decide(view_) : SpotDecision{.take = Holding::on_demand});
      advance();
      ++tick_;
    }
    result_.missed = result_.finish > window_.deadline;
    return result_;
  }

 private:
  Duration gap() const { return view_.step; }
  std::size_t now() const { return window_.start_tick + tick_; }

  void observe() {
    view_.time_left = window_.deadline - gap() * static_cast<std::int64_t>(tick_);
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      const bool up = traces_[i]->up(now(), window_.machines);
      auto& past = past_[i];
      // A state is seen at the beginning of a tick; its age is the time for which it has been seen.
      if (past.empty() || past.back().up != up) {
        past.push_back({.length = Duration{}, .up = up});
      } else {
        past.back().length += gap();
      }
      if (past.size() > 1 && past.back().length == Duration{}) past[past.size() - 2].length += gap();
      candidates_[i] = {.place = places_[i],
                        .price = spotPrice(window_, *traces_[i], now()),
                        .changeover = window_.changeover,
                        .past = past};
    }
    view_.candidates = candidates_;
    if (view_.holding == Holding::spot && !candidates_[view_.held].up()) {
      ++result_.preemptions;
      release(reclaimNoticed());
    }
    if (window_.saves) view_.at_risk = std::min(window_.saves->interval, unsaved_ + gap());
  }

  bool reclaimNoticed() const {
    if (!window_.saves) return true;
    Random random(mix(mix(window_.saves->seed, window_.start_tick), mix(tick_, view_.held)));
    return random.real() >= window_.saves->unnoticed;
  }

  // `saved`: there is time for a save before.
  void release(bool saved) {
    view_.holding = Holding::nothing;
    view_.changeover_left = Duration{};
    if (window_.saves && (!saved || window_.saves->interval == Saves::kNever)) {
      view_.work_left += unsaved_;
      result_.redone += unsaved_;
    }
    unsaved_ = Duration{};
  }

  void apply(const SpotDecision& decision) {
    BUOY_CHECK(decision.take != Holding::spot ||
               (decision.candidate < candidates_.size() && candidates_[decision.candidate].up()));
    const SpotDecision holding{.take = view_.holding, .candidate = view_.held};
    if (decision == holding) return;
    if (view_.holding != Holding::nothing) release(true);
    if (decision.take == Holding::nothing) return;
    ++result_.changes;
    view_.holding = decision.take;
    view_.held = decision.candidate;
    view_.changeover_left = window_.changeover;
  }

  // Until the next tick, or the end of the work.
  void advance() {
    if (view_.holding == Holding::nothing) return;
    const Duration changing = std::min(view_.changeover_left, gap());
    const Duration worked = std::min(view_.work_left, gap() - changing);
    view_.changeover_left -= changing;
    view_.work_left -= worked;
    if (window_.saves) unsaved_ = (unsaved_ + worked) % window_.saves->interval;
    const PricePerHour price =
        view_.holding == Holding::spot ? candidates_[view_.held].price : window_.on_demand_price;
    // The last tick is billed until the work ends; all others wholly.
    result_.cost += cost(price, (changing + worked) * window_.machines);
    if (view_.work_left == Duration{})
      result_.finish = gap() * static_cast<std::int64_t>(tick_) + changing + worked;
  }

  const Window& window_;
  std::span<const Trace* const> traces_;
  std::vector<std::vector<AvailabilitySpan>> past_;
  std::vector<SpotCandidate> candidates_;
  std::vector<std::string> places_;
  SpotView view_;
  std::size_t tick_ = 0;
  Duration unsaved_{};  // work since the last save
  WindowResult result_;
};

tl::unexpected<Error> invalidWindow(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

Status validateTraces(const Window& window, std::span<const Trace* const> traces) {
  if (traces.empty()) return invalidWindow("no trace was given");
  const Duration gap = traces.front()->gap;
  const auto ticks = static_cast<std::size_t>((window.deadline + gap - Duration{1}) / gap);
  for (const Trace* const trace : traces) {
    const std::string of = strCat({"the trace of ", inQuotes(trace->place())});
    if (trace->gap != gap)
      return invalidWindow(strCat({of, " has ticks of ", formatDuration(trace->gap), ", the first of ",
                                   formatDuration(gap), ": they must be the same"}));
    if (window.start_tick > trace->available.size() || ticks > trace->available.size() - window.start_tick)
      return invalidWindow(strCat({of, " has ", std::to_string(trace->available.size()), " ticks; from tick ",
                                   std::to_string(window.start_tick), " until the deadline there are ",
                                   std::to_string(ticks)}));
    if (!window.spot_price && trace->prices.empty())
      return invalidWindow(of + " has no prices: give a spot price");
  }
  return {};
}

}  // namespace

Status validate(const Window& window, std::span<const Trace* const> traces) {
  if (window.work <= Duration{} || window.work > kLongest)
    return invalidWindow("the work must be above zero and at most a year");
  if (window.deadline > kLongest) return invalidWindow("the deadline must be at most a year away");
  if (window.changeover < Duration{} || window.changeover > kLongest)
    return invalidWindow("the changeover must be from zero to a year");
  if (window.machines < 1 || window.machines > kMostMachines)
    return invalidWindow("the number of machines must be from 1 to a million");
  if (window.saves && (window.saves->interval <= Duration{} || window.saves->cost < Duration{} ||
                       window.saves->cost > window.saves->interval))
    return invalidWindow("a save must take no longer than the time from one to the next");
  const Duration earliest = runningTime(window) + window.changeover;
  const Duration saves = runningTime(window) - window.work;
  if (earliest > window.deadline)
    return invalidWindow(strCat({"the deadline cannot be met: ", leastTimeText(window.work), " of work, ",
                                 saves > Duration{} ? leastTimeText(saves) + " of saves, " : "",
                                 "and a changeover of ", leastTimeText(window.changeover),
                                 " take more; the earliest deadline is ", leastTimeText(earliest)}));
  return validateTraces(window, traces);
}

Duration runningTime(const Window& window) {
  if (!window.saves) return window.work;
  return window.work + window.saves->cost * (window.work / window.saves->interval);
}

WindowResult replay(const Window& window, std::span<const Trace* const> traces, engine::SpotPolicy& policy) {
  return Replay(window, traces).run(policy);
}

PricePerHour spotPrice(const Window& window, const Trace& trace, std::size_t tick) {
  if (window.spot_price) return *window.spot_price;
  return trace.prices[std::min(tick, trace.prices.size() - 1)];
}

}  // namespace buoy::sim
