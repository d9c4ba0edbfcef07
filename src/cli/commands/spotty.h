#pragma once

#include "cli/command_line.h"

namespace buoy::cli {

void addSpotty(Command& root);          // `buoy spotty …`
void addSpottyCommands(Command& root);  // the same, of a program that is called spotty
void addSpottyAws(Command& root);       // their part `aws`

}  // namespace buoy::cli
