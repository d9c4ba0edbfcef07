#pragma once

#include "cli/command_line.h"
#include "cli/context.h"

namespace buoy::cli {

// The whole tree of commands, in the order of the help.
void addCommands(Command& root);
// What every command understands. The variables must live as long as the tree.
void addGlobalOptions(Command& root, Context& context, bool& version);

}  // namespace buoy::cli
