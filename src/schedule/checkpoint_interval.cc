#include "schedule/checkpoint_interval.h"

#include <algorithm>
#include <cmath>

namespace buoy::schedule {
namespace {

using Seconds = std::chrono::duration<double>;

// Of a save of which nothing is known.
constexpr Duration kUnknownSave = std::chrono::seconds{10};
constexpr Duration kLeast = std::chrono::seconds{1};
// What storing a save beside the job takes from it, as a part of the time that it takes: saves without end
// cost a fifth of the training on all cores (docs/benchmarks.md), rounded up.
constexpr double kBesideTheJob = 0.25;
constexpr double kOwnFailures = 1.0 / 240;  // an hour

Duration ofSeconds(double seconds) {
  return std::chrono::duration_cast<Duration>(Seconds{seconds});
}
double secondsOf(Duration duration) {
  return Seconds{duration}.count();
}

bool measured(const engine::SaveMeasure& save) {
  return save.took > Duration{} || save.wrote > Duration{};
}

// Whether a whole checkpoint can be written and stored between a notice and the end.
bool fitsInNotice(const engine::SaveMeasure& save) {
  if (save.notice <= Duration{}) return false;
  if (!measured(save)) return kUnknownSave < save.notice;
  // By the rate for all of it, where one is known: the last save may have sent little.
  if (save.bytes_per_second > 0 && save.bytes > save.fitsInNotice()) return false;
  return save.wrote + save.took < save.notice;
}

}  // namespace

Duration youngInterval(Duration save, Duration mtbf) {
  return ofSeconds(std::sqrt(2 * secondsOf(save) * secondsOf(mtbf)));
}

Duration dalyInterval(Duration save, Duration mtbf) {
  if (save >= 2 * mtbf) return mtbf;
  const double part = secondsOf(save) / (2 * secondsOf(mtbf));
  const double factor = 1 + std::sqrt(part) / 3 + part / 9;
  return ofSeconds(secondsOf(youngInterval(save, mtbf)) * factor) - save;
}

CheckpointInterval chooseInterval(const IntervalInputs& inputs) {
  const engine::SaveMeasure& save = inputs.save;
  CheckpointInterval chosen;
  chosen.cost = measured(save) ? save.wrote + ofSeconds(secondsOf(save.took) * kBesideTheJob) : kUnknownSave;
  chosen.notice_covers = inputs.saves_at_notice && fitsInNotice(save);
  const double reclaims = inputs.hazard.perHour(inputs.age);
  chosen.losses_per_hour =
      std::max(reclaims * (chosen.notice_covers ? inputs.hazard.unnoticed : 1), kOwnFailures);
  const Duration mtbf = ofSeconds(3600 / chosen.losses_per_hour);
  const Duration least = std::max(kLeast, save.wrote + save.took);
  chosen.interval = std::max(dalyInterval(chosen.cost, mtbf), least);
  return chosen;
}

}  // namespace buoy::schedule
