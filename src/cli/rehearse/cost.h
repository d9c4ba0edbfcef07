#pragma once

#include <vector>

#include "base/units.h"
#include "cli/rehearse/result.h"
#include "schedule/hazard.h"

namespace buoy::cli {

// What being taken costs the job, an hour, where machines are taken as `hazard` says. Pure.
struct RehearsalCost {
  double reclaims_per_hour = 0;
  double unnoticed = 0;       // part of them
  Duration lost_noticed{};    // redone, restart and save time of one with notice
  Duration lost_unnoticed{};  // of one without
  double lost_seconds = 0;    // of machine time, an hour
  PricePerHour price;         // of all machines of the job
  Money extra;                // USD an hour
};

struct ScenarioRun {
  Scenario scenario = Scenario::notice;
  RehearsedRun run;
  Judgement judgement;
};

// From the ledgers: what a struck run spent beyond useful work, less what the undisturbed one did; of a run
// that begins again, all that it spent more. Where only one kind of reclaim was rehearsed it stands for both.
RehearsalCost costOf(const RehearsedRun& reference, const std::vector<ScenarioRun>& runs,
                     const schedule::Hazard& hazard, PricePerHour price);

}  // namespace buoy::cli
