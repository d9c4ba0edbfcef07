#pragma once

#include <vector>

#include "base/result.h"
#include "engine/types.h"
#include "schedule/spot/availability_model.h"
#include "store/store.h"

// What the control plane knows of the past of pools' spot capacity: what it has seen itself, and recorded
// markets that pools are said to be like.
namespace buoy::control {

// Of what is known of a pool's past, the newest: events.
inline constexpr int kMostMarketEvents = 20'000;

// Reads the files of Pool::learn (absolute paths, on this machine), checks and keeps them, and puts the names
// in their place under which they are kept from now on: the path and what the content comes to. Names that
// are kept already stay. Blocks. invalid_argument, not_found: a file is not such a market, or cannot be read.
Status keepRecordings(store::Store& store, engine::Pool& pool);

// As it was at the source's instant: the same whenever it is asked again. What cannot be read any more is
// left out and logged. Blocks; any thread.
std::vector<schedule::spot::History> recall(store::Store& store, const engine::SpotSource& source);

}  // namespace buoy::control
