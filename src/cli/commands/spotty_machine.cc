// buoy spotty start, stop, status, ls: the machine of an instance.
#include <algorithm>
#include <functional>
#include <memory>

#include "api/workspace_plan.h"
#include "base/strings.h"
#include "cli/commands/spotty.h"
#include "cli/exit_codes.h"
#include "cli/render/table.h"
#include "cli/spotty/aws_account.h"
#include "cli/spotty/machine.h"
#include "cli/spotty/ports.h"
#include "cli/spotty/sync.h"
#include "cli/submission.h"
#include "gateways/spotty/aws_pool.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/workspace.h"

namespace buoy::cli {
namespace {

namespace spotty = gateways::spotty;
using spotty::ProviderKind;

struct StartFlags : SpottyFlags {
  bool container = false, dry_run = false;
  std::string hours, idle, notify;
};

bool keptByJob(const SpottyChoice& choice) {
  return choice.instance.provider != ProviderKind::remote;
}

PricePerHour priceOf(const SpottyChoice& choice, const engine::MachineType& type) {
  return choice.parameters.spot ? type.spot_price : type.on_demand_price;
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

// What is in the account already, and what would be made.
int dryRunOfAws(const Context& context, const SpottyChoice& choice) {
  const auto account = lookAtAws(choice);
  if (!account) return failSpotty(context, account.error());
  const auto say = [&](const std::string& text) { context.print(strCat({"  - ", cleaned(text), "\n"})); };
  const spotty::AwsFacts& facts = account->facts;
  say(facts.bucket.empty() ? "a bucket for the project would be made" : "bucket " + facts.bucket);
  const std::string pair = spotty::keyPairName(choice.project.name, choice.parameters.region);
  say(strCat({"key pair ", pair, account->has_key_pair ? "" : " would be made"}));
  say(facts.image.empty() ? "the usual image of Amazon Linux" : "image " + facts.image);
  say(strCat({"now ", formatMoney(Money{priceOf(choice, facts.type).nano_usd}), " an hour"}));
  for (const std::string& volume : account->volumes) say(volume);
  return 0;
}

int dryRun(const Context& context, const SpottyChoice& choice, const StartFlags& flags) {
  const auto plan =
      spotty::planOf(choice.project, choice.instance, choice.parameters, {.project_root = choice.root});
  context.print(strCat({titleOf(choice), " would be started (nothing is changed):\n"}));
  context.print(strCat(
      {"  - container ", plan.container, " of ", plan.image.empty() ? plan.dockerfile : plan.image, "\n"}));
  if (flags.container) return 0;
  context.print(
      strCat({"  - provider ", toString(choice.instance.provider),
              choice.parameters.instance_type.empty() ? "" : ", type " + choice.parameters.instance_type,
              choice.parameters.spot ? ", spot" : "", "\n"}));
  printVolumes(context, choice);
  return choice.instance.provider == ProviderKind::aws ? dryRunOfAws(context, choice) : 0;
}

Result<std::unique_ptr<Reach>> reachBeside(const SpottyChoice& choice) {
  return keptByJob(choice) ? reachLocal(choice, false) : reachBySsh(choice, placeOf(choice));
}

// The plan and the project's files, before anything runs.
int prepare(const Context& context, const SpottyChoice& choice, const Reach& reach, const StartFlags& flags) {
  spotty::WorkspaceOptions options{.project_root = choice.root, .directory = choice.directory};
  options.notify = flags.notify;
  if (choice.instance.provider == ProviderKind::aws) {
    auto copy = projectCopyOf(choice);
    if (!copy) return failSpotty(context, copy.error());
    options.source = std::move(*copy);
  }
  const auto plan = spotty::planOf(choice.project, choice.instance, choice.parameters, options);
  const auto kept = runFed(reach.beside("plan", {}), api::toJson(plan));
  if (!kept) return failSpotty(context, kept.error());
  if (const auto broken = reach.brokenBy(*kept)) return failSpotty(context, *broken);
  if (*kept != 0) return static_cast<int>(ExitCode::failure);
  context.print("  - syncing the project... ");
  if (const int code = syncProject(context, choice, reach, false, true); code != 0) return code;
  context.print("DONE\n");
  return 0;
}

int upContainer(const Context& context, const SpottyChoice& choice, const Reach& reach) {
  const auto code = runHere(reach.workspace("up", {}, false));
  if (!code) return failSpotty(context, code.error());
  if (const auto broken = reach.brokenBy(*code)) return failSpotty(context, *broken);
  if (*code != 0) return static_cast<int>(ExitCode::failure);
  context.print(strCat({"The container of ", titleOf(choice), " is running.\n"}));
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
  openPorts(context, choice, **reach);
  return 0;
}

// A machine on AWS takes its agent from the store, and tells the server how it is.
Status checkServer(Connection& connection) {
  BUOY_TRY(const std::string body, connection.get("/v1/server"));
  BUOY_TRY(const api::ServerView server, api::parseServer(body));
  if (server.store.starts_with("s3://")) return {};
  return fail(ErrorCode::failed_precondition,
              strCat({"machines on AWS cannot reach the server's store (", server.store,
                      "): set `store: s3://bucket/buoy`, `listen` and `advertise` in its configuration "
                      "(docs/aws.md, 2.)"}));
}

// The account's part and the project's files, before there is a machine.
int prepareAws(const Context& context, Connection& connection, const SpottyChoice& choice,
               StartOptions& options) {
  if (const Status fine = checkServer(connection); !fine) return failSpotty(context, fine.error());
  auto account = lookAtAws(choice);
  if (!account) return failSpotty(context, account.error());
  const auto tell = [&](const std::string& text) { context.print(strCat({"  - ", cleaned(text), "\n"})); };
  if (const Status whole = completeAws(choice, *account, tell); !whole)
    return failSpotty(context, whole.error());
  for (const std::string& volume : account->volumes) tell(volume);
  options.pool = spotty::awsPoolOf(choice.project, choice.instance, choice.parameters, account->facts);
  options.source = projectCopyIn(account->facts.bucket);
  context.print(strCat({"  - syncing the project to ", options.source, "... "}));
  if (const int code = uploadProject(context, choice, options.source, false, true); code != 0) return code;
  context.print("DONE\n");
  return 0;
}

int prepareLocal(const Context& context, const SpottyChoice& choice, const StartFlags& flags) {
  const auto reach = reachBeside(choice);
  return reach ? prepare(context, choice, **reach, flags) : failSpotty(context, reach.error());
}

void tellPorts(const Context& context, Connection& connection, const SpottyChoice& choice,
               const api::JobView& job) {
  if (choice.instance.provider == ProviderKind::local)
    return printPorts(context, workspaceLines(connection, job.id));
  if (!declaresPorts(choice)) return;
  const auto reach = reachOnAws(connection, choice, job);
  if (!reach) return context.note(strCat({"the ports cannot be reached: ", reach.error().message, "\n"}));
  openPorts(context, choice, **reach);
}

// -C: the container anew, on the machine that runs.
int startContainer(const Context& context, const SpottyChoice& choice, const StartFlags& flags) {
  const auto reach = reachRunning(context, choice);
  if (!reach) return reach.error();
  if (const int code = prepare(context, choice, **reach, flags); code != 0) return code;
  if (const int code = upContainer(context, choice, **reach); code != 0) return code;
  // Those that were chosen freely are others now.
  openPorts(context, choice, **reach);
  return 0;
}

int start(const Context& context, const StartFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  auto options = startOptions(context, flags);
  if (!options) return options.error();
  if (flags.dry_run) return dryRun(context, *choice, flags);
  if (flags.container) return startContainer(context, *choice, flags);
  if (!keptByJob(*choice)) return startRemote(context, *choice, flags);
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto running = workspaceJob(**connection, *choice);
  if (!running) return failSpotty(context, running.error());
  if (*running) {
    if (!confirmed(context,
                   strCat({titleOf(*choice), " is already running. Are you sure you want to restart it?"}))) {
      context.print("It runs on as it is.\n");
      return 0;
    }
    if (const int code = stopWorkspace(context, **connection, *choice, **running); code != 0) return code;
  }
  context.print(strCat({"Preparing to start ", titleOf(*choice), "...\n"}));
  printVolumes(context, *choice);
  const int prepared = choice->instance.provider == ProviderKind::aws
                           ? prepareAws(context, **connection, *choice, *options)
                           : prepareLocal(context, *choice, flags);
  if (prepared != 0) return prepared;
  if (const auto started = startWorkspace(context, **connection, *choice, *options); !started)
    return started.error();
  context.print(strCat({"\n", titleOf(*choice), " is running.\n"}));
  const auto job = workspaceJob(**connection, *choice);
  if (job && *job) tellPorts(context, **connection, *choice, **job);
  context.print("\nUse the \"spotty sh\" command to connect to the container.\n");
  return 0;
}

// ---- stop, status

int stop(const Context& context, const SpottyFlags& flags) {
  const auto choice = chooseInstance(context, flags);
  if (!choice) return choice.error();
  if (!keptByJob(*choice)) {
    const auto reach = reachRunning(context, *choice);
    if (!reach) return reach.error();
    const auto code = runHere((*reach)->workspace("down", {}, false));
    if (!code) return failSpotty(context, code.error());
    if (const auto broken = (*reach)->brokenBy(*code)) return failSpotty(context, *broken);
    (*reach)->close();
    if (*code == 0) context.print(strCat({"The container of ", titleOf(*choice), " was removed.\n"}));
    return *code;
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  const auto job = workspaceJob(**connection, *choice);
  if (!job) return failSpotty(context, job.error());
  if (!*job) return notRunning(context, *choice);
  if (choice->instance.provider == ProviderKind::aws) {
    // Before its address is somebody else's.
    if (const auto reach = reachOnAws(**connection, *choice, **job)) (*reach)->close();
  }
  if (const int code = stopWorkspace(context, **connection, *choice, **job); code != 0) return code;
  context.print(strCat({titleOf(*choice), " was successfully stopped.\n"}));
  return 0;
}

int statusOfRemote(const Context& context, const SpottyChoice& choice) {
  const auto reach = reachRunning(context, choice);
  if (!reach) return reach.error();
  const auto listed = askProgram((*reach)->beside("list", {}));
  if (!listed && listed.error().code == ErrorCode::unavailable) return failSpotty(context, listed.error());
  if (!listed) return notRunning(context, choice);
  context.print(strCat({titleOf(choice), " is reachable at ", choice.parameters.host, ".\n"}));
  openPorts(context, choice, **reach);
  return 0;
}

using AddRow = std::function<void(const char* name, std::string text)>;

void addMachineRows(const SpottyChoice& choice, const api::MachineView& machine, const AddRow& row) {
  row("Instance Type", machine.type);
  std::string address = machine.address;
  if (choice.instance.provider == ProviderKind::aws && !machine.provider_ref.empty()) {
    row("Instance", machine.provider_ref);
    if (const auto known = instanceOnAws(choice, machine.provider_ref)) {
      row("Availability Zone", known->zone);
      if (!known->public_address.empty()) address = known->public_address;
    }
  }
  row("Address", address);
  row("Purchasing Option", machine.market == engine::Market::spot ? "Spot Instance" : "On-Demand Instance");
  row("Price", formatMoney(Money{machine.price.nano_usd}) + " an hour");
  if (machine.notice_deadline) row("Reclaim", "in " + formatDuration(*machine.notice_deadline - wallClock()));
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
  const auto machine = machineOf(**connection, view);
  if (machine && *machine) addMachineRows(*choice, **machine, row);
  if (view.attempts > 1) row("Machines So Far", std::to_string(view.attempts));
  if (view.ledger) row("Cost So Far", formatMoney(view.ledger->totalCost()));
  context.print(strCat({titleOf(*choice), ":\n", renderTable(context.out, table)}));
  for (const std::string& line : workspaceLines(**connection, view.id)) {
    if (line.starts_with("script ")) context.print(strCat({"  ", line, "\n"}));
  }
  const bool elsewhere = choice->instance.provider == ProviderKind::aws;
  if (elsewhere && view.phase == engine::JobPhase::running) tellPorts(context, **connection, *choice, view);
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

void addStart(Command& root) {
  auto flags = std::make_shared<StartFlags>();
  Command& command = root.add("start", "Start an instance and its container, and keep them through reclaims");
  addSpottyInstance(command, *flags);
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

}  // namespace

void addSpottyMachine(Command& root) {
  addStart(root);
  auto stopped = std::make_shared<SpottyFlags>();
  Command& stop_command = root.add("stop", "Stop an instance; its volumes go by their deletion policies");
  addSpottyInstance(stop_command, *stopped);
  stop_command.action = [stopped](Context& context) { return stop(context, *stopped); };

  auto looked = std::make_shared<SpottyFlags>();
  Command& status_command = root.add("status", "What an instance is doing, and what it has cost");
  addSpottyInstance(status_command, *looked);
  status_command.action = [looked](Context& context) { return status(context, *looked); };
}

void addSpottyList(Command& root) {
  Command& list = root.add("ls", "List the instances of every project");
  list.action = [](Context& context) { return listAll(context); };
}

}  // namespace buoy::cli
