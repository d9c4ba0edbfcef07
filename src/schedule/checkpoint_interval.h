#pragma once

#include <optional>

#include "base/units.h"
#include "engine/types.h"
#include "schedule/hazard.h"

// How often a job should save: often enough to lose little, rarely enough not to spend its time on saving.
// Pure.
namespace buoy::schedule {

// The time between two saves that loses least, when a save holds the work up for `save` and a loss comes
// every `mtbf` on average. J. W. Young, "A first order approximation to the optimum checkpoint interval",
// CACM 17(9), 1974: √(2δM). Good while δ is small against M.
Duration youngInterval(Duration save, Duration mtbf);

// The same for any δ. J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart
// dumps", FGCS 22(3), 2006, equation 37: √(2δM)·(1 + ⅓·√(δ/2M) + ⅑·(δ/2M)) − δ where δ < 2M, else M.
Duration dalyInterval(Duration save, Duration mtbf);

struct IntervalInputs {
  Hazard hazard;             // of the machine's pool and market
  Duration age{};            // of the machine
  engine::SaveMeasure save;  // as far as it is known; save.notice: what this machine is told before a reclaim
  bool saves_at_notice = false;  // the job answers the signal of a notice with a save
};

struct CheckpointInterval {
  Duration interval{};
  Duration cost{};             // what one save is taken to hold the job up
  double losses_per_hour = 0;  // that it insures against
  bool notice_covers = false;  // a notice leaves time for a save: only losses without one count
};

// From what is measured, or assumed where nothing is yet. The result is never shorter than a save takes to
// be stored, nor than a second. A machine that is never reclaimed is taken to fail every ten days: hosts and
// programs do.
CheckpointInterval chooseInterval(const IntervalInputs& inputs);

}  // namespace buoy::schedule
