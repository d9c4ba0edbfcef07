#pragma once

#include "schedule/spot/availability_model.h"
#include "sim/trace.h"

namespace buoy::schedule::spot {

// A recorded market as a past to learn from, for gangs of so many machines. One that never had so many says
// nothing of them: it is read for as many as it had.
History historyOf(const sim::Trace& trace, std::int32_t machines);

}  // namespace buoy::schedule::spot
