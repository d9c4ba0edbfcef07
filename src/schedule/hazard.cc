#include "schedule/hazard.h"

#include <algorithm>
#include <cmath>

namespace buoy::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr double kUnnoticed = 0.05;
constexpr double kPriorNotices = 20;  // how many reclaims the assumption about notices weighs

double hoursOf(Duration duration) {
  return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

}  // namespace

double Hazard::perHour(Duration age) const {
  double rate = steps.empty() ? 0 : steps.front().per_hour;
  for (const Step& step : steps) {
    if (step.from <= age) rate = step.per_hour;
  }
  return rate;
}

Duration Hazard::nextStep(Duration age) const {
  for (const Step& step : steps) {
    if (step.from > age) return step.from;
  }
  return Duration::max();
}

double Hazard::meanPerHour() const {
  double survives = 1, life = 0;  // hours
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double rate = steps[i].per_hour;
    if (i + 1 == steps.size()) return rate <= 0 ? 0 : 1 / (life + survives / rate);
    const double span = hoursOf(steps[i + 1].from - steps[i].from);
    const double left = std::exp(-rate * span);
    life += rate <= 0 ? survives * span : survives * (1 - left) / rate;
    survives *= left;
  }
  return 0;
}

Hazard usualSpotHazard() {
  return {.steps = {{minutes{0}, 1.1},
                    {minutes{12}, 0.9},
                    {minutes{30}, 0.5},
                    {hours{1}, 0.28},
                    {hours{2}, 0.17},
                    {hours{4}, 0.12},
                    {hours{8}, 0.1},
                    {hours{16}, 0.04}},
          .unnoticed = kUnnoticed};
}

void HazardLearner::add(const MachineLife& life) {
  static const Hazard usual = usualSpotHazard();
  const Duration lived = std::max(life.lived, Duration{0});
  for (std::size_t i = 0; i < kSteps; ++i) {
    const Duration from = usual.steps[i].from;
    const Duration to = i + 1 < kSteps ? usual.steps[i + 1].from : Duration::max();
    if (lived < from) break;
    hours_[i] += hoursOf(std::min(lived, to) - from);
    if (lived < to && life.end != MachineLife::End::given_back) reclaims_[i] += 1;
  }
  if (life.end == MachineLife::End::noticed) noticed_ += 1;
  if (life.end == MachineLife::End::unnoticed) unnoticed_ += 1;
}

Hazard HazardLearner::estimate() const {
  Hazard hazard = usualSpotHazard();
  for (std::size_t i = 0; i < kSteps; ++i) {
    double& rate = hazard.steps[i].per_hour;
    rate = (kPrior + reclaims_[i]) / (kPrior / rate + hours_[i]);
  }
  hazard.unnoticed = (kPriorNotices * kUnnoticed + unnoticed_) / (kPriorNotices + noticed_ + unnoticed_);
  return hazard;
}

}  // namespace buoy::schedule
