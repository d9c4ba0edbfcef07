// buoy spotty: the commands that a spotty.yaml knows.
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "api/json_writer.h"
#include "api/node.h"
#include "api/workspace_plan.h"
#include "base/strings.h"
#include "cli/commands/spotty.h"
#include "cli/exit_codes.h"
#include "cli/render/table.h"
#include "cli/spotty/files.h"
#include "cli/spotty/machine.h"
#include "cli/submission.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/script_template.h"
#include "gateways/spotty/workspace.h"

namespace buoy::cli {
namespace {

namespace spotty = gateways::spotty;
using spotty::ProviderKind;

struct StartFlags : SpottyFlags {
  bool container = false, dry_run = false;
  std::string hours, idle, notify;
};
struct StopFlags : SpottyFlags {};
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

void addConfigOptions(Command& command, SpottyFlags& flags) {
  command.flag("--debug,-d", flags.debug, "accepted for Spotty's sake; failures are always explained");
  command.option("--config,-c", "FILE", flags.config, "the configuration (spotty.yaml)", Hint::file);
}

void addInstance(Command& command, SpottyFlags& flags) {
  addConfigOptions(command, flags);
  command.optionalArgument("INSTANCE_NAME", flags.instance,
                           "of the configuration's instances; asked for if there are several");
}

int usageError(const Context& context, std::string message) {
  (void)context.fail({ErrorCode::invalid_argument, std::move(message)});
  return static_cast<int>(ExitCode::usage);
}

std::string title(const SpottyChoice& choice) {
  return strCat({"Instance \"", choice.instance.name, "\""});
}

bool keptByJob(const SpottyChoice& choice) {
  return choice.instance.provider != ProviderKind::remote;
}

// ---- files

// Says what goes over, a line a file as the AWS CLI does.
int syncProject(const Context& context, const SpottyChoice& choice, const Reach& reach, bool dry_run,
                bool quiet) {
  const auto report = sendProject(choice, reach, dry_run, [&](const std::string& path) {
    if (!quiet) context.print(strCat({dry_run ? "(dryrun) " : "", "upload: ", cleaned(path), "\n"}));
  });
  if (!report) return failSpotty(context, report.error().wrap("sync"));
  return 0;
}

// ---- start

void printVolumes(const Context& context, const SpottyChoice& choice) {
  Table table{{{"Name"}, {"Container Dir"}, {"Type"}, {"Deletion Policy"}}, {}};
  const spotty::Container& container = *choice.project.container(choice.parameters.container_name);
  for (const spotty::VolumeMount& mount : container.mounts) {
    const auto& volumes = choice.parameters.volumes;
    const auto volume =
        std::find_if(volumes.begin(), volumes.end(), [&](const auto& v) { return v.name == mount.name; });
    const bool ebs = choice.instance.provider == ProviderKind::aws;
    if (volume == volumes.end()) {
      table.rows.push_back({Cell(mount.name), Cell(mount.path), Cell("temporary directory"), Cell("-")});
    } else {
      table.rows.push_back({Cell(mount.name), Cell(mount.path),
                            Cell(ebs ? "EBS volume " + volume->disk : "HostPath " + volume->path),
                            Cell(ebs ? std::string(cloud::toString(volume->deletion)) : "-")});
    }
  }
  if (!table.rows.empty()) context.print("\nVolumes:\n" + renderTable(context.out, table) + "\n");
}

void printPorts(const Context& context, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    // "port 6006 at 49153"
    const auto words = split(line, ' ');
    if (words.size() == 4 && words[0] == "port")
      context.print(strCat({"Port ", words[1], " of the container: http://localhost:", words[3], "\n"}));
  }
}

int dryRun(const Context& context, const SpottyChoice& choice, const StartFlags& flags) {
  const auto plan =
      spotty::planOf(choice.project, choice.instance, choice.parameters, {.project_root = choice.root});
  context.print(strCat({title(choice), " would be started (nothing is changed):\n"}));
  context.print(strCat(
      {"  - container ", plan.container, " of ", plan.image.empty() ? plan.dockerfile : plan.image, "\n"}));
  if (flags.container) return 0;
  context.print(
      strCat({"  - provider ", toString(choice.instance.provider),
              choice.parameters.instance_type.empty() ? "" : ", type " + choice.parameters.instance_type,
              choice.parameters.spot ? ", spot" : "", "\n"}));
  printVolumes(context, choice);
  return 0;
}

Result<std::unique_ptr<Reach>> reachBeside(const SpottyChoice& choice) {
  return choice.instance.provider == ProviderKind::remote ? reachBySsh(choice, placeOf(choice))
                                                          : reachLocal(choice, false);
}

// The plan and the project's files, before anything runs.
int prepare(const Context& context, const SpottyChoice& choice, const Reach& reach, const StartFlags& flags) {
  spotty::WorkspaceOptions options{.project_root = choice.root, .directory = choice.directory};
  options.notify = flags.notify;
  const auto plan = spotty::planOf(choice.project, choice.instance, choice.parameters, options);
  const auto kept = runFed(reach.beside("plan", {}), api::toJson(plan));
  if (!kept) return failSpotty(context, kept.error());
  if (*kept != 0) return static_cast<int>(ExitCode::failure);
  context.print("  - syncing the project... ");
  if (const int code = syncProject(context, choice, reach, false, true); code != 0) return code;
  context.print("DONE\n");
  return 0;
}

int upContainer(const Context& context, const SpottyChoice& choice, const Reach& reach) {
  const auto code = runHere(reach.workspace("up", {}, false));
  if (!code) return failSpotty(context, code.error());
  if (*code != 0) return static_cast<int>(ExitCode::failure);
  context.print(strCat({"The container of ", title(choice), " is running.\n"}));
  return 0;
}

tl::expected<StartOptions, int> startOptions(const Context& context, const StartFlags& flags) {
  StartOptions options;
  options.notify = flags.notify.empty() ? environment("SPOTTY_NOTIFY").value_or("") : flags.notify;
  const auto read = [&](const std::string& text, const char* name, Duration& out) {
    if (text.empty()) return true;
    const bool number = text.find_first_not_of("0123456789.") == std::string::npos;
    auto value = parseDuration(number ? text + "h" : text);
    if (value && *value > Duration{}) return out = *value, true;
    (void)context.fail(
        {ErrorCode::invalid_argument, strCat({name, " must be a number of hours, or a time such as 90m"})});
    return false;
  };
  if (!read(flags.hours, "--hours", options.hours) || !read(flags.idle, "--idle", options.idle))
    return tl::unexpected(static_cast<int>(ExitCode::usage));
  return options;
}

int startRemote(const Context& context, const SpottyChoice& choice, const StartFlags& flags) {
  const auto reach = reachBeside(choice);
  if (!reach) return failSpotty(context, reach.error());
  if (const int code = prepare(context, choice, **reach, flags); code != 0) return code;
  if (const int code = upContainer(context, choice, **reach); code != 0) return code;
  std::vector<int> ports;
  for (const auto& port : choice.project.container(choice.parameters.container_name)->ports)
    ports.push_back(port.host != 0 ? port.host : port.container);
  const auto forwarded = (*reach)->forward(ports);
  for (const int port : forwarded ? *forwarded : std::vector<int>{})
    context.print(strCat({"Port ", std::to_string(port), ": http://localhost:", std::to_string(port), "\n"}));
  return 0;
}

int start(const Context& context, const StartFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  const auto options = startOptions(context, flags);
  if (!options) return options.error();
  if (flags.dry_run) return dryRun(context, *choice, flags);
  if (choice->instance.provider == ProviderKind::aws)
    return failSpotty(context,
                      {ErrorCode::failed_precondition,
                       "instances on aws cannot be started from a spotty.yaml yet: `buoy spotty convert` "
                       "writes the job that runs there on a pool of provider aws (docs/aws.md)"});
  if (flags.container) {
    const auto reach = reachRunning(context, *choice);
    if (!reach) return reach.error();
    if (const int code = prepare(context, *choice, **reach, flags); code != 0) return code;
    return upContainer(context, *choice, **reach);
  }
  if (!keptByJob(*choice)) return startRemote(context, *choice, flags);
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto running = workspaceJob(**connection, *choice);
  if (!running) return failSpotty(context, running.error());
  if (*running) {
    if (!confirmed(context,
                   strCat({title(*choice), " is already running. Are you sure you want to restart it?"})))
      return 0;
    if (const int code = stopWorkspace(context, **connection, *choice, **running); code != 0) return code;
  }
  context.print(strCat({"Preparing to start ", title(*choice), "...\n"}));
  printVolumes(context, *choice);
  const auto reach = reachBeside(*choice);
  if (!reach) return failSpotty(context, reach.error());
  if (const int code = prepare(context, *choice, **reach, flags); code != 0) return code;
  if (const auto started = startWorkspace(context, **connection, *choice, *options); !started)
    return started.error();
  context.print(strCat({"\n", title(*choice), " is running.\n"}));
  const auto job = workspaceJob(**connection, *choice);
  if (job && *job) printPorts(context, workspaceLines(**connection, (*job)->id));
  context.print("\nUse the \"spotty sh\" command to connect to the container.\n");
  return 0;
}

// ---- stop, status

int notRunning(const Context& context, const SpottyChoice& choice) {
  const int code = failSpotty(context, {ErrorCode::failed_precondition, title(choice) + " is not running."});
  context.note(
      strCat({"Use the \"spotty start", choice.project.instances.size() > 1 ? " " + choice.instance.name : "",
              "\" command to start the instance.\n"}));
  return code;
}

int stop(const Context& context, const StopFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  if (!keptByJob(*choice)) {
    const auto reach = reachRunning(context, *choice);
    if (!reach) return reach.error();
    const auto code = runHere((*reach)->workspace("down", {}, false));
    if (!code) return failSpotty(context, code.error());
    if (*code == 0) context.print(strCat({"The container of ", title(*choice), " was removed.\n"}));
    return *code;
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto job = workspaceJob(**connection, *choice);
  if (!job) return failSpotty(context, job.error());
  if (!*job) return notRunning(context, *choice);
  if (const int code = stopWorkspace(context, **connection, *choice, **job); code != 0) return code;
  context.print(strCat({title(*choice), " was successfully stopped.\n"}));
  return 0;
}

int statusOfRemote(const Context& context, const SpottyChoice& choice) {
  const auto reach = reachRunning(context, choice);
  if (!reach) return reach.error();
  const auto listed = askProgram((*reach)->beside("list", {}));
  if (!listed) return notRunning(context, choice);
  context.print(strCat({title(choice), " is reachable at ", choice.parameters.host, ".\n"}));
  return 0;
}

int status(const Context& context, const SpottyFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  if (!keptByJob(*choice)) return statusOfRemote(context, *choice);
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto job = workspaceJob(**connection, *choice);
  if (!job) return failSpotty(context, job.error());
  if (!*job) return notRunning(context, *choice);
  const api::JobView& view = **job;
  Table table{{{""}, {"", Align::left, true}}, {}};
  const auto row = [&](const char* name, std::string text) {
    if (!text.empty()) table.rows.push_back({Cell(name), Cell(cleaned(text))});
  };
  row("Instance State", std::string(engine::toString(view.phase)));
  row("Why", view.phase == engine::JobPhase::running ? "" : view.reason);
  if (!view.machines.empty()) {
    const auto body = (*connection)->get("/v1/machines/" + view.machines.front().toString());
    if (const auto machine = body ? api::parseMachine(*body) : Result<api::MachineView>(fail(body.error()))) {
      row("Instance Type", machine->type);
      row("Address", machine->address);
      row("Purchasing Option",
          machine->market == engine::Market::spot ? "Spot Instance" : "On-Demand Instance");
      row("Price", formatMoney(Money{machine->price.nano_usd}) + " an hour");
      if (machine->notice_deadline)
        row("Reclaim", "in " + formatDuration(*machine->notice_deadline - wallClock()));
    }
  }
  if (view.attempts > 1) row("Machines So Far", std::to_string(view.attempts));
  if (view.ledger) row("Cost So Far", formatMoney(view.ledger->totalCost()));
  context.print(strCat({title(*choice), ":\n", renderTable(context.out, table)}));
  for (const std::string& line : workspaceLines(**connection, view.id)) {
    if (line.starts_with("script ")) context.print(strCat({"  ", line, "\n"}));
  }
  return 0;
}

int listAll(const Context& context) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto body = (*connection)->get("/v1/jobs?limit=1000");
  if (!body) return failSpotty(context, body.error());
  const auto list = api::parseJobList(*body);
  if (!list) return failSpotty(context, list.error());
  Table table{{{"INSTANCE"}, {"STATE"}, {"MACHINES SO FAR", Align::right}, {"COST", Align::right}, {"SINCE"}},
              {}};
  for (const api::JobView& job : list->jobs) {
    if (!job.request.name.starts_with("spotty-") || job.request.queue != job.request.name ||
        engine::isTerminal(job.phase))
      continue;
    table.rows.push_back({Cell(cleaned(job.request.name.substr(7)), Color::bold),
                          Cell(std::string(engine::toString(job.phase))), Cell(std::to_string(job.attempts)),
                          Cell(job.ledger ? formatMoney(job.ledger->totalCost()) : ""),
                          Cell(age(job.submitted, wallClock()))});
  }
  context.print(table.rows.empty() ? "No instance is running.\n" : renderTable(context.out, table));
  return 0;
}

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
  const auto code = runHere((*reach)->workspace("shell", words, true));
  return code ? *code : failSpotty(context, code.error());
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
        usageError(context, strCat({"there is no script ", inQuotes(flags.script), " in the configuration",
                                    meant           ? "; did you mean '" + *meant + "'?"
                                    : names.empty() ? std::string()
                                                    : "; there are " + join(names, ", ")})));
  }
  std::map<std::string, std::string> parameters;
  for (const std::string& text : flags.parameters) {
    auto parameter = spotty::parseParameter(text);
    if (!parameter) return tl::unexpected(usageError(context, parameter.error().message));
    parameters.insert(std::move(*parameter));
  }
  auto text = spotty::renderScript(found->second, parameters);
  if (!text) return tl::unexpected(usageError(context, text.error().wrap("script " + flags.script).message));
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
    return usageError(context, "which script? buoy spotty run [INSTANCE_NAME] SCRIPT_NAME");
  if (!flags.session.empty() && flags.session.find_first_of(".: /") != std::string::npos)
    return usageError(context, "--session-name must be letters, digits, - and _");
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
  if (*begun != 0) return *begun;
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) {
    context.note(
        strCat({"The script runs in the session ", script->session, "; come back to it from a terminal.\n"}));
    return 0;
  }
  const auto code = runHere((*reach)->workspace("attach", {"--session", script->session}, true));
  return code ? *code : failSpotty(context, code.error());
}

int execute(const Context& context, const ExecFlags& flags) {
  if (flags.command.empty())
    return usageError(context, "which command? buoy spotty exec [INSTANCE_NAME] -- COMMAND");
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
  return code ? *code : failSpotty(context, code.error());
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
  if (patterns.empty()) return usageError(context, "which files? -i PATTERN, for example -i 'logs/*'");
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
  context.print(spotty::convert(choice->project, choice->instance, choice->parameters));
  return 0;
}

// ---- the table

void addStart(Command& root) {
  auto flags = std::make_shared<StartFlags>();
  Command& command = root.add("start", "Start an instance and its container, and keep them through reclaims");
  addInstance(command, *flags);
  command.flag("--container,-C", flags->container,
               "sync, and make the container of the running instance anew");
  command.flag("--dry-run", flags->dry_run, "say what would be done; nothing is changed");
  command.option("--hours", "HOURS", flags->hours,
                 "stop by itself after so long (a number of hours, or 90m)");
  command.option("--idle", "TIME", flags->idle, "stop by itself when nothing has run for so long");
  command.option("--notify", "COMMAND", flags->notify,
                 "shell command, run on the machine when it was replaced or a script ended ($SPOTTY_MESSAGE; "
                 "default: $SPOTTY_NOTIFY)");
  command.action = [flags](Context& context) { return start(context, *flags); };
}

void addTerminals(Command& root) {
  auto flags = std::make_shared<ShellFlags>();
  Command& shell_command = root.add("sh", "A shell in the container or on the machine");
  addInstance(shell_command, *flags);
  shell_command.flag("--host-os,-H", flags->host, "on the machine instead of in the container");
  shell_command.option("--user,-u", "USER", flags->user, "in the container");
  shell_command.option("--session-name,-s", "NAME", flags->session, "of the tmux session");
  shell_command.flag("--list-sessions,-l", flags->list, "list the sessions");
  shell_command.action = [flags](Context& context) { return shell(context, *flags); };

  auto older = std::make_shared<ShellFlags>();
  Command& ssh = root.add("ssh", "The same as sh, as it was called before");
  addInstance(ssh, *older);
  ssh.flag("--host-os", older->host, "on the machine instead of in the container");
  ssh.option("--session-name,-s", "NAME", older->session, "of the tmux session");
  ssh.flag("--list-sessions,-l", older->list, "list the sessions");
  ssh.action = [older](Context& context) { return shell(context, *older); };
}

void addRunning(Command& root) {
  auto flags = std::make_shared<ScriptFlags>();
  Command& command = root.add("run", "Run a script of the configuration in a terminal, or come back to it");
  addConfigOptions(command, *flags);
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
  addInstance(exec, *exec_flags);
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
  addInstance(sync_command, *sync_flags);
  sync_command.flag("--dry-run", sync_flags->dry_run, "only say what would be sent");
  sync_command.action = [sync_flags](Context& context) { return sync(context, *sync_flags); };

  auto flags = std::make_shared<FilesFlags>();
  Command& command = root.add("download", "Fetch files of the project from the instance");
  addInstance(command, *flags);
  command.option("--include,-i", "PATTERN", flags->include,
                 "what to fetch, as in syncFilters; may be given several times");
  command.option("--filter,-f", "PATTERN", flags->filters, "the same, as it was called before");
  command.flag("--dry-run", flags->dry_run, "only say what would be fetched");
  command.action = [flags](Context& context) { return download(context, *flags); };
}

}  // namespace

void addSpottyCommands(Command& root) {
  addStart(root);
  auto stopped = std::make_shared<StopFlags>();
  Command& stop_command = root.add("stop", "Stop an instance; its volumes go by their deletion policies");
  addInstance(stop_command, *stopped);
  stop_command.action = [stopped](Context& context) { return stop(context, *stopped); };

  auto looked = std::make_shared<SpottyFlags>();
  Command& status_command = root.add("status", "What an instance is doing, and what it has cost");
  addInstance(status_command, *looked);
  status_command.action = [looked](Context& context) { return status(context, *looked); };

  addTerminals(root);
  addRunning(root);
  addFiles(root);
  Command& list = root.add("ls", "List the instances of every project");
  list.action = [](Context& context) { return listAll(context); };

  addSpottyAws(root);
  auto converted = std::make_shared<SpottyFlags>();
  Command& convert_command = root.add("convert", "Write the buoy.yaml that does the same");
  addInstance(convert_command, *converted);
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
