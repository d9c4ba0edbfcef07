#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/render/look.h"

namespace buoy::cli {

class Command;

// What every command works with: where it prints, and what was said before the command's name.
struct Context {
  Look out, err;  // of standard output and standard error
  bool out_terminal = false, err_terminal = false;
  std::string server;  // --server
  std::string color = "auto";
  const Command* root = nullptr;
  Hooks hooks;

  // Text as it stands to standard output; a reader that went away ends the program by SIGPIPE.
  void print(std::string_view text) const;
  // Text as it stands to standard error.
  void note(std::string_view text) const;
  // "error: message" to standard error; returns the exit code for it.
  int fail(const Error& error) const;
};

// A variable of the environment; nullopt if unset or empty.
std::optional<std::string> environment(const char* name);
// Looks of the two streams, from the terminals, NO_COLOR, CLICOLOR_FORCE, TERM, the locale and --color.
void decideLooks(Context& context);
// "3 jobs", "1 job".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many = {});
// "2m ago" style age, for listings: at most two units.
std::string age(Time since, Time now);
Time wallClock();

}  // namespace buoy::cli
