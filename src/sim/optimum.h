#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "sim/window.h"

namespace buoy::sim {

// The least that any policy could have paid in a window, had it known the markets: an exact dynamic program
// over ticks, work done and what is held. Work done is a multiple of what gap and changeover have in common,
// which makes it exact. `window` is valid. invalid_argument: gap and changeover have so little in common (or
// the window is so long) that the program would need more than ten thousand million steps.
Result<Money> optimalCost(const Window& window, std::span<const Trace* const> traces);

// The same with one way to do it, found by replaying the optimal decisions: result->cost is the optimum.
// Needs a byte or more for each tick and amount of work: at most 2 GiB, else invalid_argument.
Result<WindowResult> optimalRun(const Window& window, std::span<const Trace* const> traces);

}  // namespace buoy::sim
