#pragma once

#include <string>

#include "cli/command_line.h"
#include "cli/render/look.h"

namespace buoy::cli {

// What `buoy COMMAND --help` prints.
std::string renderHelp(const Look& look, const Command& command);
// Every command with its options, as Markdown: the middle of docs/cli.md.
std::string renderManual(const Command& root);
// `buoy help exit-codes`.
std::string renderExitCodes(const Look& look);

}  // namespace buoy::cli
