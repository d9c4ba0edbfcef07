// buoy completion: scripts for shells; buoy complete: the names that they ask for.
#include "cli/completion.h"

#include <memory>

#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

constexpr int kMostNames = 200;

int printScript(const Context& context, const std::string& shell) {
  auto script = completionScript(*context.root, shell);
  if (!script) return context.fail(script.error());
  context.print(*script);
  return 0;
}

// Names, one a line. Nobody wants an error message while typing: on any trouble there is just nothing to
// complete.
Result<std::string> namesOf(Connection& connection, const std::string& kind) {
  std::string text;
  if (kind == "jobs") {
    BUOY_TRY(const std::string body, connection.get("/v1/jobs?limit=" + std::to_string(kMostNames)));
    BUOY_TRY(const api::JobListView list, api::parseJobList(body));
    for (const api::JobView& job : list.jobs) text += job.id.toString() + "\n" + job.request.name + "\n";
  } else if (kind == "machines") {
    BUOY_TRY(const std::string body, connection.get("/v1/machines"));
    BUOY_TRY(const auto machines, api::parseMachines(body));
    for (const api::MachineView& machine : machines) text += machine.id.toString() + "\n";
  } else if (kind == "pools") {
    BUOY_TRY(const std::string body, connection.get("/v1/pools"));
    BUOY_TRY(const auto pools, api::parsePools(body));
    for (const api::PoolView& pool : pools) text += pool.pool.name + "\n";
  }
  return text;
}

int printNames(const Context& context, const std::string& kind) {
  auto address = serverAddress(context.server);
  if (!address) return 1;
  Connection connection(std::move(*address), Connection::Start::never);
  auto names = namesOf(connection, kind);
  if (!names) return 1;
  context.print(*names);
  return 0;
}

}  // namespace

void addCompletion(Command& root) {
  auto shell = std::make_shared<std::string>();
  Command& command = root.add("completion", "Print a completion script for bash, zsh or fish");
  command.argument("SHELL", *shell, "bash, zsh or fish");
  const std::string& name = root.name;
  command.details =
      strCat({"Examples:\n  ", name, " completion bash > ~/.local/share/bash-completion/completions/", name,
              "\n  ", name, " completion zsh  > ~/.zfunc/_", name, "\n  ", name,
              " completion fish > ~/.config/fish/completions/", name, ".fish"});
  command.action = [shell](Context& context) { return printScript(context, *shell); };

  auto kind = std::make_shared<std::string>();
  Command& names = root.add("complete", "Print names for a completion script");
  names.heading = Command::kHidden;
  names.argument("KIND", *kind, "jobs, machines or pools");
  names.action = [kind](Context& context) { return printNames(context, *kind); };
}

}  // namespace buoy::cli
