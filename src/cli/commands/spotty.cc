// buoy spotty: the commands that a spotty.yaml knows.
#include <unistd.h>

#include <memory>

#include "api/node.h"
#include "api/workspace_plan.h"
#include "base/strings.h"
#include "cli/commands/spotty.h"
#include "cli/exit_codes.h"
#include "cli/spotty/files.h"
#include "cli/spotty/machine.h"
#include "cli/spotty/sync.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/script_template.h"
#include "gateways/spotty/workspace.h"

namespace buoy::cli {
namespace {

namespace spotty = gateways::spotty;

struct ShellFlags : SpottyFlags {
  bool host = false, list = false;
  std::string user, session;
};
struct ScriptFlags : SpottyFlags {
  std::string script, user, session;
  std::vector<std::string> parameters, arguments;
  bool no_sync = false, log = false, json = false;
};
struct ExecFlags : SpottyFlags {
  std::string user;
  std::vector<std::string> command;
  bool interactive = false, terminal = false, no_sync = false;
};
struct FilesFlags : SpottyFlags {
  std::vector<std::string> include, filters;
  bool dry_run = false;
};

// ---- terminals

int listSessions(const Context& context, const Reach& reach) {
  const auto listed = askProgram(reach.workspace("list", {}, false));
  if (!listed) return failSpotty(context, listed.error());
  const auto tree = api::parseJsonTree(*listed, api::kSpecJsonLimits);
  const api::Node* const sessions = tree ? tree->find("sessions") : nullptr;
  if (sessions == nullptr)
    return failSpotty(context, {ErrorCode::data_loss, "the machine's answer cannot be understood"});
  if (sessions->items.empty()) context.print("There are no sessions.\n");
  for (const api::Node& session : sessions->items) {
    const api::Node* const name = session.find("name");
    const api::Node* const dead = session.find("dead");
    context.print(strCat({cleaned(name == nullptr ? "" : name->text),
                          dead != nullptr && dead->text == "true" ? "  (ended)" : "", "\n"}));
  }
  return 0;
}

// A terminal on the machine, to its end or to that of the way there.
int attached(const Context& context, const Reach& reach, const Words& words) {
  const auto code = runHere(words);
  if (!code) return failSpotty(context, code.error());
  if (reach.brokenBy(*code))
    context.note(
        "The connection to the machine ended; what runs there goes on. The same command comes back to it.\n");
  return *code;
}

bool needsTerminal(const Context& context) {
  if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0) return true;
  (void)context.fail({ErrorCode::failed_precondition, "this needs a terminal"});
  return false;
}

int shell(const Context& context, const ShellFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto reach = reachRunning(context, *choice);
  if (!reach) return reach.error();
  if (flags.list) return listSessions(context, **reach);
  if (!needsTerminal(context)) return static_cast<int>(ExitCode::failure);
  const std::string session = !flags.session.empty() ? flags.session
                              : flags.host           ? spotty::kHostShell
                                                     : spotty::kContainerShell;
  Words words = {"--session", session};
  if (flags.host) words.emplace_back("--host");
  if (!flags.user.empty()) words.insert(words.end(), {"--user", flags.user});
  return attached(context, **reach, (*reach)->workspace("shell", words, true));
}

tl::expected<api::WorkspaceScript, int> scriptOf(const Context& context, const SpottyChoice& choice,
                                                 const ScriptFlags& flags) {
  const auto& scripts = choice.project.scripts;
  const auto found = scripts.find(flags.script);
  if (found == scripts.end()) {
    std::vector<std::string> names;
    for (const auto& [name, text] : scripts) names.push_back(name);
    const auto meant = nearest(flags.script, names);
    return tl::unexpected(
        wrongUsage(context, strCat({"there is no script ", inQuotes(flags.script), " in the configuration",
                                    meant           ? "; did you mean '" + *meant + "'?"
                                    : names.empty() ? std::string()
                                                    : "; there are " + join(names, ", ")})));
  }
  std::map<std::string, std::string> parameters;
  for (const std::string& text : flags.parameters) {
    auto parameter = spotty::parseParameter(text);
    if (!parameter) return tl::unexpected(wrongUsage(context, parameter.error().message));
    parameters.insert(std::move(*parameter));
  }
  auto text = spotty::renderScript(found->second, parameters);
  if (!text) return tl::unexpected(wrongUsage(context, text.error().wrap("script " + flags.script).message));
  api::WorkspaceScript script;
  script.session = flags.session.empty() ? spotty::scriptSession(flags.script) : flags.session;
  script.name = flags.script;
  script.text = std::move(*text);
  script.user = flags.user;
  script.arguments = flags.arguments;
  script.logged = flags.log;
  return script;
}

int runScript(const Context& context, ScriptFlags flags) {
  // "run SCRIPT" or "run INSTANCE SCRIPT".
  if (flags.script.empty()) std::swap(flags.script, flags.instance);
  if (flags.script.empty())
    return wrongUsage(context, "which script? buoy spotty run [INSTANCE_NAME] SCRIPT_NAME");
  if (!flags.session.empty() && flags.session.find_first_of(".: /") != std::string::npos)
    return wrongUsage(context, "--session-name must be letters, digits, - and _");
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto script = scriptOf(context, *choice, flags);
  if (!script) return script.error();
  const auto reach = reachRunning(context, *choice);
  if (!reach) return reach.error();
  if (!flags.no_sync && choice->project.syncsBeforeRun()) {
    if (const int code = syncProject(context, *choice, **reach, false, true); code != 0) return code;
  }
  const auto begun = runFed((*reach)->workspace("script", {}, false), api::toJson(*script));
  if (!begun) return failSpotty(context, begun.error());
  if (const auto broken = (*reach)->brokenBy(*begun)) return failSpotty(context, *broken);
  if (*begun != 0) return *begun;
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    context.note(
        strCat({"The script runs in the session ", script->session, "; come back to it from a terminal.\n"}));
    return 0;
  }
  return attached(context, **reach, (*reach)->workspace("attach", {"--session", script->session}, true));
}

int execute(const Context& context, const ExecFlags& flags) {
  if (flags.command.empty())
    return wrongUsage(context, "which command? buoy spotty exec [INSTANCE_NAME] -- COMMAND");
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto reach = reachRunning(context, *choice);
  if (!reach) return reach.error();
  if (!flags.no_sync) {
    if (const int code = syncProject(context, *choice, **reach, false, true); code != 0) return code;
  }
  Words words;
  if (flags.interactive) words.emplace_back("-i");
  if (flags.terminal) words.emplace_back("-t");
  if (!flags.user.empty()) words.insert(words.end(), {"--user", flags.user});
  words.emplace_back("--");
  words.insert(words.end(), flags.command.begin(), flags.command.end());
  const auto code = runHere((*reach)->workspace("exec", words, flags.terminal));
  if (!code) return failSpotty(context, code.error());
  if (const auto broken = (*reach)->brokenBy(*code))
    context.note(strCat({cleaned(broken->message), "; the command may go on there.\n"}));
  return *code;
}

// ---- sync, download, convert

int sync(const Context& context, const FilesFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto reach = reachRunning(context, *choice);
  if (!reach) return reach.error();
  return syncProject(context, *choice, **reach, flags.dry_run, false);
}

int download(const Context& context, const FilesFlags& flags) {
  std::vector<std::string> patterns = flags.include;
  patterns.insert(patterns.end(), flags.filters.begin(), flags.filters.end());
  if (patterns.empty()) return wrongUsage(context, "which files? -i PATTERN, for example -i 'logs/*'");
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto reach = reachRunning(context, *choice);
  if (!reach) return reach.error();
  const auto report = fetchFiles(*choice, **reach, patterns, flags.dry_run, [&](const std::string& path) {
    context.print(strCat({flags.dry_run ? "(dryrun) " : "", "download: ", cleaned(path), "\n"}));
  });
  if (!report) return failSpotty(context, report.error().wrap("download"));
  return 0;
}

int convertFile(const Context& context, const SpottyFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  context.print(spotty::convert(choice->project, choice->instance, choice->parameters, choice->root));
  return 0;
}

// ---- the table

void addTerminals(Command& root) {
  auto flags = std::make_shared<ShellFlags>();
  Command& shell_command = root.add("sh", "A shell in the container or on the machine");
  addSpottyInstance(shell_command, *flags);
  shell_command.flag("--host-os,-H", flags->host, "on the machine instead of in the container");
  shell_command.option("--user,-u", "USER", flags->user, "in the container");
  shell_command.option("--session-name,-s", "NAME", flags->session, "of the tmux session");
  shell_command.flag("--list-sessions,-l", flags->list, "list the sessions");
  shell_command.action = [flags](Context& context) { return shell(context, *flags); };

  auto older = std::make_shared<ShellFlags>();
  Command& ssh = root.add("ssh", "The same as sh, as it was called before");
  addSpottyInstance(ssh, *older);
  ssh.flag("--host-os", older->host, "on the machine instead of in the container");
  ssh.option("--session-name,-s", "NAME", older->session, "of the tmux session");
  ssh.flag("--list-sessions,-l", older->list, "list the sessions");
  ssh.action = [older](Context& context) { return shell(context, *older); };
}

void addRunning(Command& root) {
  auto flags = std::make_shared<ScriptFlags>();
  Command& command = root.add("run", "Run a script of the configuration in a terminal, or come back to it");
  addSpottyConfig(command, *flags);
  command.optionalArgument("INSTANCE_NAME", flags->instance, "may be left out");
  command.optionalArgument("SCRIPT_NAME", flags->script, "of the configuration's scripts");
  command.option("--user,-u", "USER", flags->user, "in the container");
  command.option("--session-name,-s", "NAME", flags->session,
                 "of the tmux session (spotty-script-SCRIPT_NAME)");
  command.flag("--logging,-l", flags->log, "keep its output in /run/spotty/logs of the container as well");
  command.option("--parameter,-p", "NAME=VALUE", flags->parameters,
                 "of the script; may be given several times");
  command.flag("--no-sync", flags->no_sync, "do not sync the project first");
  command.rest = &flags->arguments;
  command.details =
      "Ctrl-b d leaves it running; the same command comes back to it. After a reclaim it is started again on "
      "the\nnext machine. What follows -- are the script's arguments. The exit code is the script's own if "
      "it has "
      "ended.";
  command.action = [flags](Context& context) { return runScript(context, *flags); };

  auto exec_flags = std::make_shared<ExecFlags>();
  Command& exec = root.add("exec", "Run a command in the container");
  addSpottyInstance(exec, *exec_flags);
  exec.flag("--interactive,-i", exec_flags->interactive, "pass the standard input on");
  exec.flag("--tty,-t", exec_flags->terminal, "with a terminal");
  exec.option("--user,-u", "USER", exec_flags->user, "in the container");
  exec.flag("--no-sync", exec_flags->no_sync, "do not sync the project first");
  exec.rest = &exec_flags->command;
  exec.action = [exec_flags](Context& context) { return execute(context, *exec_flags); };
}

void addFiles(Command& root) {
  auto sync_flags = std::make_shared<FilesFlags>();
  Command& sync_command = root.add("sync", "Send what is new or changed of the project to the instance");
  addSpottyInstance(sync_command, *sync_flags);
  sync_command.flag("--dry-run", sync_flags->dry_run, "only say what would be sent");
  sync_command.action = [sync_flags](Context& context) { return sync(context, *sync_flags); };

  auto flags = std::make_shared<FilesFlags>();
  Command& command = root.add("download", "Fetch files of the project from the instance");
  addSpottyInstance(command, *flags);
  command.option("--include,-i", "PATTERN", flags->include,
                 "what to fetch, as in syncFilters; may be given several times");
  command.option("--filter,-f", "PATTERN", flags->filters, "the same, as it was called before");
  command.flag("--dry-run", flags->dry_run, "only say what would be fetched");
  command.action = [flags](Context& context) { return download(context, *flags); };
}

}  // namespace

void addSpottyConfig(Command& command, SpottyFlags& flags) {
  command.flag("--debug,-d", flags.debug, "accepted for Spotty's sake; failures are always explained");
  command.option("--config,-c", "FILE", flags.config, "the configuration (spotty.yaml)", Hint::file);
}

void addSpottyInstance(Command& command, SpottyFlags& flags) {
  addSpottyConfig(command, flags);
  command.optionalArgument("INSTANCE_NAME", flags.instance,
                           "of the configuration's instances; asked for if there are several");
}

void addSpottyCommands(Command& root) {
  addSpottyMachine(root);
  addTerminals(root);
  addRunning(root);
  addFiles(root);
  addSpottyList(root);
  addSpottyAws(root);
  auto converted = std::make_shared<SpottyFlags>();
  Command& convert_command = root.add("convert", "Write the buoy.yaml that does the same");
  addSpottyInstance(convert_command, *converted);
  convert_command.action = [converted](Context& context) { return convertFile(context, *converted); };
}

void addSpotty(Command& root) {
  Command& command = root.add("spotty", "Work with a spotty.yaml as it is");
  command.details =
      "The commands of Spotty with a spotty.yaml of any version, unchanged; see docs/migrating/spotty.md. "
      "Called by\nthe name spotty, this program has them at the top: spotty start.";
  addSpottyCommands(command);
}

}  // namespace buoy::cli
