#include "sim/optimum.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/strings.h"

namespace buoy::sim {
namespace {

using engine::Holding;
using engine::SpotDecision;
using engine::SpotView;

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max() / 4;  // nano USD
constexpr std::int64_t kMostSteps = 10'000'000'000;
constexpr std::int64_t kMostChoices = std::int64_t{2} << 30;

// What to do in a state. Holdings are numbered: 0 is on-demand, 1 + i spot of trace i.
struct Choices {
  // By tick and work done: what to hold when nothing is held (0: wait, else 1 + holding), and the set of the
  // holdings that go on when they are held and work; the others are given up for what `fresh` says.
  std::vector<std::uint8_t> fresh, goes_on;
  std::int64_t per_tick = 0;

  std::size_t at(std::int64_t tick, std::int64_t done) const {
    return static_cast<std::size_t>(tick * per_tick + done);
  }
};

class DynamicProgram {
 public:
  DynamicProgram(const Window& window, std::span<const Trace* const> traces)
      : window_(window),
        traces_(traces),
        gap_(traces.front()->gap.count()),
        changeover_(window.changeover.count()),
        unit_(std::gcd(gap_, changeover_)),
        lead_((changeover_ + gap_ - 1) / gap_),
        ticks_((window.deadline.count() + gap_ - 1) / gap_),
        most_done_((window.work.count() - 1) / unit_),
        holdings_(static_cast<std::int64_t>(traces.size()) + 1) {}

  std::int64_t steps() const { return ticks_ * (most_done_ + 1) * (holdings_ + 1); }
  std::int64_t choices() const { return 2 * ticks_ * (most_done_ + 1); }

  // Backwards in time. Returns the optimum; keeps the choices if there is room for them.
  std::int64_t solve(Choices* choices) {
    if (choices) {
      choices->per_tick = most_done_ + 1;
      choices->fresh.assign(static_cast<std::size_t>(ticks_ * choices->per_tick), 0);
      choices->goes_on = choices->fresh;
    }
    layers_.assign(static_cast<std::size_t>(kept()), Layer(holdings_ + 1, most_done_ + 1));
    for (std::int64_t tick = ticks_ - 1; tick >= 0; --tick) solveTick(tick, choices);
    return layer(0).values[0][0];
  }

  std::int64_t unit() const { return unit_; }

 private:
  using Values = std::vector<std::int64_t>;
  // The cost to go from a tick on by work done: [0] with nothing held, [1 + holding] with it held and
  // working.
  struct Layer {
    Layer(std::int64_t states, std::int64_t size)
        : values(static_cast<std::size_t>(states), Values(static_cast<std::size_t>(size), kNever)) {}
    std::vector<Values> values;
  };
  Layer& layer(std::int64_t tick) { return layers_[static_cast<std::size_t>(tick % kept())]; }
  std::int64_t kept() const { return std::max<std::int64_t>(lead_, 1) + 1; }

  bool upThrough(std::int64_t holding, std::int64_t from, std::int64_t until) const {
    if (holding == 0) return true;
    for (std::int64_t tick = from; tick < until; ++tick) {
      if (!traces_[static_cast<std::size_t>(holding - 1)]->up(indexOf(tick), window_.machines)) return false;
    }
    return true;
  }
  std::size_t indexOf(std::int64_t tick) const { return window_.start_tick + static_cast<std::size_t>(tick); }

  std::int64_t pay(std::int64_t holding, std::int64_t tick, std::int64_t duration) const {
    const PricePerHour price =
        holding == 0 ? window_.on_demand_price
                     : spotPrice(window_, *traces_[static_cast<std::size_t>(holding - 1)], indexOf(tick));
    return cost(price, Duration{duration} * window_.machines).nano_usd;
  }

  // The cheapest way to hold `holding` from `tick` on, after `idle` (0 or the changeover) and until the work
  // ends or `span` whole ticks have passed, then the best of what follows.
  void hold(std::int64_t holding, std::int64_t tick, std::int64_t idle, std::int64_t span, Values& best,
            std::uint8_t* choice = nullptr, std::uint8_t mark = 0) {
    if (!upThrough(holding, tick, tick + 1)) return;
    const std::int64_t deadline = window_.deadline.count() - tick * gap_;
    const std::int64_t works = span * gap_ - idle, advance = works / unit_;
    const auto take = [&](std::int64_t done, std::int64_t price) {
      auto& value = best[static_cast<std::size_t>(done)];
      if (price >= value) return;
      value = price;
      if (choice) choice[done] = mark;
    };
    // Where the work ends before `span` ticks have passed.
    std::int64_t done = most_done_;
    for (; done >= 0 && window_.work.count() - done * unit_ <= works; --done) {
      const std::int64_t whole = idle + window_.work.count() - done * unit_;
      if (whole > deadline || !upThrough(holding, tick, tick + (whole + gap_ - 1) / gap_)) continue;
      std::int64_t price = 0;
      for (std::int64_t t = 0; t * gap_ < whole; ++t)
        price += pay(holding, tick + t, std::min(gap_, whole - t * gap_));
      take(done, price);
    }
    if (tick + span >= ticks_ || !upThrough(holding, tick, tick + span)) return;
    std::int64_t price = 0;
    for (std::int64_t t = 0; t < span; ++t) price += pay(holding, tick + t, gap_);
    const Values& next = layer(tick + span).values[static_cast<std::size_t>(1 + holding)];
    const std::int64_t last = std::min(done, reachable(tick));
    for (done = needed(tick); done <= last; ++done)
      take(done, price + next[static_cast<std::size_t>(done + advance)]);
  }

  std::int64_t reachable(std::int64_t tick) const { return std::min(most_done_, tick * gap_ / unit_); }
  // With less done the deadline cannot be met any more.
  std::int64_t needed(std::int64_t tick) const {
    const std::int64_t deadline = window_.deadline.count() - tick * gap_;
    return std::max<std::int64_t>(window_.work.count() - deadline, 0) / unit_;
  }

  void solveTick(std::int64_t tick, Choices* choices) {
    Layer& now = layer(tick);
    // With the changeover behind it, what is held goes on …
    std::uint8_t* const goes_on = choices ? &choices->goes_on[choices->at(tick, 0)] : nullptr;
    std::vector<Values>& values = now.values;
    // Below `least` the deadline is lost; nothing below `low` or from `high` on is looked at from earlier
    // ticks.
    const std::int64_t least = std::min(needed(tick), reachable(tick) + 1);
    const std::int64_t low = std::max<std::int64_t>(least - (lead_ + 1) * gap_ / unit_ - 2, 0);
    const std::int64_t high = reachable(tick) + 1;
    for (std::int64_t h = 0; h < holdings_; ++h) {
      Values& value = values[static_cast<std::size_t>(1 + h)];
      std::fill(value.begin() + low, value.begin() + high, kNever);
      hold(h, tick, 0, 1, value);
    }
    // … or nothing is held: wait, or begin something.
    std::uint8_t* const fresh = choices ? &choices->fresh[choices->at(tick, 0)] : nullptr;
    std::fill(values[0].begin() + low, values[0].begin() + high, kNever);
    if (tick + 1 < ticks_) {
      const Values& waits = layer(tick + 1).values[0];
      std::copy(waits.begin() + least, waits.begin() + high, values[0].begin() + least);
    }
    for (std::int64_t h = 0; h < holdings_; ++h) {
      const auto mark = static_cast<std::uint8_t>(1 + h);
      if (lead_ > 0) {
        hold(h, tick, changeover_, lead_, values[0], fresh, mark);
      } else {
        hold(h, tick, 0, 1, values[0], fresh, mark);
      }
    }
    for (std::int64_t h = 0; h < holdings_; ++h) {
      Values& value = values[static_cast<std::size_t>(1 + h)];
      for (auto done = static_cast<std::size_t>(low); done < static_cast<std::size_t>(high); ++done) {
        if (value[done] <= values[0][done]) {
          if (goes_on && value[done] < kNever)
            goes_on[done] = static_cast<std::uint8_t>(goes_on[done] | (1u << h));
        } else {
          value[done] = values[0][done];
        }
      }
    }
  }

  const Window& window_;
  std::span<const Trace* const> traces_;
  std::int64_t gap_, changeover_, unit_;
  std::int64_t lead_;       // ticks in which a changeover ends
  std::int64_t ticks_;      // that begin before the deadline
  std::int64_t most_done_;  // in units; more would be finished
  std::int64_t holdings_;
  std::vector<Layer> layers_;
};

// Does what the program chose.
class Chosen final : public engine::SpotPolicy {
 public:
  Chosen(const Choices& choices, std::int64_t unit) : choices_(choices), unit_(unit) {}
  std::string_view name() const override { return "omniscient"; }

  SpotDecision decide(const SpotView& view) override {
    const SpotDecision holding{.take = view.holding, .candidate = view.held};
    if (view.holding != Holding::nothing && view.changeover_left > Duration{}) return holding;
    const std::int64_t tick = (view.time_total - view.time_left) / view.step;
    const std::size_t at = choices_.at(tick, (view.work_total - view.work_left).count() / unit_);
    const std::size_t held = view.holding == Holding::on_demand ? 0 : 1 + view.held;
    if (view.holding != Holding::nothing && (choices_.goes_on[at] >> held & 1) != 0) return holding;
    const std::uint8_t fresh = choices_.fresh[at];
    if (fresh == 0) return {};
    if (fresh == 1) return {.take = Holding::on_demand};
    return {.take = Holding::spot, .candidate = static_cast<std::size_t>(fresh - 2)};
  }

 private:
  const Choices& choices_;
  std::int64_t unit_;
};

constexpr std::size_t kMostTraces = 7;  // holdings are bits of a byte

Status affordable(const DynamicProgram& program, std::span<const Trace* const> traces) {
  if (traces.size() > kMostTraces)
    return fail(ErrorCode::invalid_argument, strCat({"the optimum is known for at most ",
                                                     std::to_string(kMostTraces), " traces at once"}));
  if (program.steps() <= kMostSteps) return {};
  return fail(
      ErrorCode::invalid_argument,
      "the optimum would take too long: choose a changeover that has more in common with the ticks of "
      "the trace, or less work");
}

}  // namespace

Result<Money> optimalCost(const Window& window, std::span<const Trace* const> traces) {
  DynamicProgram program(window, traces);
  BUOY_TRY_VOID(affordable(program, traces));
  return Money{program.solve(nullptr)};
}

Result<WindowResult> optimalRun(const Window& window, std::span<const Trace* const> traces) {
  DynamicProgram program(window, traces);
  BUOY_TRY_VOID(affordable(program, traces));
  if (program.choices() > kMostChoices)
    return fail(ErrorCode::invalid_argument, "the optimal run would take too much memory: choose less work");
  Choices choices;
  const std::int64_t optimum = program.solve(&choices);
  Chosen chosen(choices, program.unit());
  const WindowResult result = replay(window, traces, chosen);
  BUOY_CHECK(result.cost.nano_usd == optimum && !result.missed);
  return result;
}

}  // namespace buoy::sim
