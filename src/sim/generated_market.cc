#include "sim/generated_market.h"

#include <algorithm>

#include "base/units.h"
#include "sim/random.h"

namespace buoy::sim {
namespace {

constexpr double kDay = 24;

double hazardAt(const StateHazard& hazard, double age_hours) {
  const double settling = std::max(hoursOf(hazard.settling), 1e-9);
  return hazard.settled + (hazard.fresh - hazard.settled) / (1 + age_hours / settling);
}

// A triangle between -1 and 1 with the period of a day.
double timeOfDay(double hour) {
  const double phase = hour / kDay - static_cast<double>(static_cast<std::int64_t>(hour / kDay));
  return phase < 0.5 ? 4 * phase - 1 : 3 - 4 * phase;
}

class ZoneMaker {
 public:
  ZoneMaker(const MarketModel& model, std::uint64_t number)
      : model_(model), random_(mix(model.seed, 1 + number)) {
    trace_.gap = model.gap;
    trace_.zone = "zone-" + std::string(1, static_cast<char>('a' + number % 26));
    if (number >= 26) trace_.zone += std::to_string(number / 26);
    trace_.instance_type = "gpu";
    trace_.on_demand_price = model.on_demand_price;
    trace_.available.reserve(model.ticks);
    trace_.prices.reserve(model.ticks);
    up_ = random_.oneIn(2);
  }

  void tick(double hour, bool shock) {
    const double step = hoursOf(model_.gap);
    double hazard = hazardAt(up_ ? model_.up : model_.down, age_);
    if (up_) hazard *= 1 + model_.daily * timeOfDay(hour + 6);
    // The chance of an event within a tick of any length, without exp(): rate·t / (1 + rate·t).
    const double chance = hazard * step / (1 + hazard * step);
    const bool struck = shock && random_.real() < model_.shared;
    if (random_.real() < chance || (up_ && struck)) {
      up_ = !up_;
      age_ = 0;
      count_ =
          up_ ? 1 + static_cast<std::int32_t>(random_.below(static_cast<std::uint32_t>(model_.most))) : 0;
    } else {
      age_ += step;
      if (up_) wander();
    }
    trace_.available.push_back(up_ ? std::max(count_, 1) : 0);
    trace_.prices.push_back(price());
  }

  Trace take() { return std::move(trace_); }

 private:
  // Capacity changes a few times an hour.
  void wander() {
    if (random_.real() > 4 * hoursOf(model_.gap)) return;
    count_ = std::clamp(count_ + (random_.oneIn(2) ? 1 : -1), 1, model_.most);
  }

  PricePerHour price() {
    if (random_.oneIn(200)) percent_ = std::clamp(percent_ + (random_.oneIn(2) ? 1 : -1), -10, 10);
    return {model_.spot_price.nano_usd / 100 * (100 + percent_)};
  }

  const MarketModel& model_;
  Random random_;
  Trace trace_;
  bool up_ = false;
  double age_ = 0;  // hours
  std::int32_t count_ = 1;
  int percent_ = 0;
};

}  // namespace

std::vector<Trace> generateMarket(const MarketModel& model) {
  std::vector<ZoneMaker> zones;
  zones.reserve(model.zones);
  for (std::uint64_t i = 0; i < model.zones; ++i) zones.emplace_back(model, i);
  Random region(mix(model.seed, 0));
  const double step = hoursOf(model.gap);
  for (std::size_t tick = 0; tick < model.ticks; ++tick) {
    const bool shock = region.real() < model.shocks * step;
    for (ZoneMaker& zone : zones) zone.tick(static_cast<double>(tick) * step, shock);
  }
  std::vector<Trace> traces;
  for (ZoneMaker& zone : zones) traces.push_back(zone.take());
  return traces;
}

}  // namespace buoy::sim
