#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "gateways/spotty/project.h"

namespace buoy::cli {

// What every command about an instance is given.
struct SpottyFlags {
  std::string config, instance;
  bool debug = false;
};

// The instance that a command is about, with all that is known of it from the file.
struct SpottyChoice {
  gateways::spotty::Project project;
  gateways::spotty::Instance instance;
  gateways::spotty::Parameters parameters;
  std::string root;       // directory of the file, absolute
  std::string name;       // of its job and pool
  std::string directory;  // of its workspace, on its machine
};

// Reads and checks the file, asks which instance is meant where there are several, and checks that one's
// parameters. On failure it has been said, and the exit code is the error.
tl::expected<SpottyChoice, int> chooseInstance(const Context& context, const SpottyFlags& flags);
// The file alone.
struct SpottyFile {
  gateways::spotty::SourceText main, over;
  gateways::spotty::Project project;
  std::string root;
};
tl::expected<SpottyFile, int> readSpottyFile(const Context& context, const SpottyFlags& flags);
// Says what is wrong; the exit code, which is Spotty's: 2 for wrong usage, else 1.
int failSpotty(const Context& context, const Error& error);
// The same of wrong usage.
int wrongUsage(const Context& context, std::string message);
// "Instance "NAME"", as Spotty's sentences begin.
std::string titleOf(const SpottyChoice& choice);
// Says so, and how it is started.
int notRunning(const Context& context, const SpottyChoice& choice);
// "y" or "yes" on standard input.
bool confirmed(const Context& context, const std::string& question);

}  // namespace buoy::cli
