#pragma once

#include "cli/command_line.h"
#include "cli/spotty/choice.h"

namespace buoy::cli {

void addSpotty(Command& root);          // `buoy spotty …`
void addSpottyCommands(Command& root);  // the same, of a program that is called spotty
void addSpottyAws(Command& root);       // their part `aws`
void addSpottyMachine(Command& root);   // `start`, `stop`, `status`
void addSpottyList(Command& root);      // `ls`

// What commands about an instance have in common; `flags` must outlive the command.
void addSpottyConfig(Command& command, SpottyFlags& flags);
void addSpottyInstance(Command& command, SpottyFlags& flags);

}  // namespace buoy::cli
