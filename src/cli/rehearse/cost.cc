#include "cli/rehearse/cost.h"

#include <algorithm>
#include <cmath>

namespace buoy::cli {
namespace {

Duration beyondUse(const RehearsedRun& run) {
  return run.ledger.totalTime() - run.ledger.timeOf(engine::Use::useful);
}

// Of each reclaim of this run.
Duration lostBy(const RehearsedRun& reference, const ScenarioRun& struck) {
  const RehearsedRun& run = struck.run;
  const bool from_zero = struck.judgement.verdict == Verdict::restarts;
  const Duration lost = from_zero ? run.ledger.totalTime() - reference.ledger.totalTime()
                                  : beyondUse(run) - beyondUse(reference);
  const auto strikes = static_cast<Duration::rep>(std::max<std::size_t>(run.strikes.size(), 1));
  return std::max(lost, Duration{0}) / strikes;
}

}  // namespace

RehearsalCost costOf(const RehearsedRun& reference, const std::vector<ScenarioRun>& runs,
                     const schedule::Hazard& hazard, PricePerHour price) {
  RehearsalCost cost;
  Duration noticed{}, unnoticed{};
  int with = 0, without = 0;
  for (const ScenarioRun& each : runs) {
    const Verdict verdict = each.judgement.verdict;
    if (verdict == Verdict::fails || verdict == Verdict::inconclusive) continue;
    const bool notice = each.scenario == Scenario::notice;
    (notice ? noticed : unnoticed) += lostBy(reference, each);
    ++(notice ? with : without);
  }
  if (with > 0) cost.lost_noticed = noticed / with;
  if (without > 0) cost.lost_unnoticed = unnoticed / without;
  if (with == 0) cost.lost_noticed = cost.lost_unnoticed;
  if (without == 0) cost.lost_unnoticed = cost.lost_noticed;
  cost.reclaims_per_hour = hazard.meanPerHour();
  cost.unnoticed = hazard.unnoticed;
  using Seconds = std::chrono::duration<double>;
  cost.lost_seconds = cost.reclaims_per_hour * (Seconds{cost.lost_noticed}.count() * (1 - cost.unnoticed) +
                                                Seconds{cost.lost_unnoticed}.count() * cost.unnoticed);
  cost.price = price;
  cost.extra.nano_usd = std::llround(static_cast<double>(price.nano_usd) * cost.lost_seconds / 3600);
  return cost;
}

}  // namespace buoy::cli
