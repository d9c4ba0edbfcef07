#pragma once

#include <string>
#include <vector>

#include "agent/keeper/container_words.h"
#include "base/result.h"
#include "os/terminal.h"

namespace buoy::agent {

// Runs a command whose output goes where this program's goes, to its end: its exit code. Cancelled, with the
// command killed, when a signal comes to `interrupts` meanwhile (null: none is awaited).
Result<int> runShown(const Words& command, const Environment& environment,
                     os::InterruptWatch* interrupts = nullptr, const std::string& directory = {});
// Replaces this program by a command. Returns only with what kept it from doing so.
Error becomeCommand(const Words& command, const Environment& environment);

}  // namespace buoy::agent
