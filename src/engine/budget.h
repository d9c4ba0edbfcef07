#pragma once

#include <optional>
#include <span>
#include <string>

#include "engine/engine.h"

namespace buoy::engine {

// What a job must be able to pay before it does any work: starting its machines and ending them at the worst,
// in the cheapest way that these pools offer. nullopt: none of them has machines for it. Pure.
std::optional<Money> costOfNoWork(const JobRequest& request, std::span<const Pool* const> pools,
                                  const Settings& settings);

// "of $0.01 is too small: …", with the smallest that is not; empty: it is not too small, or there is none.
// Pure.
std::string whyTooSmall(const JobRequest& request, std::span<const Pool* const> pools,
                        const Settings& settings);

}  // namespace buoy::engine
