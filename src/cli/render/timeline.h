#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "cli/render/look.h"
#include "engine/types.h"

namespace buoy::cli {

struct TimelineRow {
  struct Piece {
    Time begin{}, end{};
    engine::Use use = engine::Use::starting;
  };
  std::string label;          // "m3"
  std::vector<Piece> pieces;  // by time, not overlapping
  std::string ending;         // "reclaimed without notice"; empty: still there, or ended in peace
};

// One row a machine over a common axis of time, each column the use that filled most of it, and a legend of
// the uses that occur. At most 24 rows; the rest is counted. Empty without pieces.
std::string renderTimeline(const Look& look, const std::vector<TimelineRow>& rows);

// How a use is drawn: also in the ledger.
Color colorOf(engine::Use use);

}  // namespace buoy::cli
