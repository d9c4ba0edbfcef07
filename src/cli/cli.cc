#include "cli/cli.h"

#include <cstdio>
#include <filesystem>
#include <string_view>

#include "cli/command_line.h"
#include "cli/commands/commands.h"
#include "cli/commands/spotty.h"
#include "cli/context.h"
#include "cli/exit_codes.h"
#include "cli/help.h"
#include "cli/tree.h"

namespace buoy::cli {
namespace {

int printVersion() {
  std::puts("buoy " BUOY_VERSION);
  return 0;
}

}  // namespace

void addCommands(Command& root) {
  const auto under = [&root](const char* heading, auto... add) {
    (add(root), ...);
    for (const auto& child : root.children) {
      if (child->heading.empty()) child->heading = heading;
    }
  };
  under("Jobs", addRun, addSubmit, addRehearse, addPs, addShow, addLogs, addWhy, addWait, addCancel, addSave,
        addResume, addReclaim, addDownload);
  under("Storage", addCp, addSync, addLs, addRm, addMb);
  under("Machines", addMachines, addPools, addQueues, addAws);
  under("Planning", addSimulate, addMarket);
  under("Other systems", addSpotty);
  under("Server", addServer, addServe, addKeys, addDoctor);
  under("Other", addInit, addCompletion, addHelp);
}

void addGlobalOptions(Command& root, Context& context, bool& version) {
  root.option("--server", "URL", context.server,
              "another server: unix:/path, https://host:port ($BUOY_SERVER)");
  root.choice("--color", {"auto", "always", "never"}, context.color, "when to use colours (auto)");
  root.flag("--version,-V", version, "print the version");
  root.details =
      "Start here:\n"
      "  buoy run python3 train.py      run a command in a copy of this directory, and follow it\n"
      "  buoy init                      write a buoy.yaml to keep\n"
      "  buoy help COMMAND              everything about a command";
}

int run(int argc, char** argv, const Hooks& hooks) {
  // Before anything is made: scripts ask for it often.
  if (argc == 2 && (std::string_view(argv[1]) == "--version" || std::string_view(argv[1]) == "-V"))
    return printVersion();

  Context context;
  context.hooks = hooks;
  bool version = false;
  const bool as_spotty = argc > 0 && std::filesystem::path(argv[0]).filename() == "spotty";
  Command root =
      as_spotty ? Command("spotty", "Work on machines that a spotty.yaml describes, and keep them")
                : Command("buoy", "Train on machines that can be taken away at any moment, and lose nothing");
  addGlobalOptions(root, context, version);
  if (as_spotty) {
    root.details.clear();
    addSpottyCommands(root);
    addCompletion(root);
  } else {
    addCommands(root);
  }
  context.root = &root;

  const auto parsed = parse(root, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  decideLooks(context);
  if (!parsed) return context.fail(parsed.error());
  if (version) return printVersion();
  if (parsed->help || !parsed->command->action) {
    context.print(renderHelp(context.out, *parsed->command));
    return 0;
  }
  return parsed->command->action(context);
}

}  // namespace buoy::cli
