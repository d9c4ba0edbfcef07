// buoy machines: what there is, and machines held open to work on.
#include <memory>

#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/render/size.h"
#include "cli/render/table.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct ListFlags {
  bool all = false, json = false;
};

struct OpenFlags {
  std::string pool = "local", market = "spot", cpus, memory;
};

Color machineColor(engine::MachinePhase phase) {
  switch (phase) {
    case engine::MachinePhase::requested:
    case engine::MachinePhase::booting:
      return Color::yellow;
    case engine::MachinePhase::idle:
      return Color::plain;
    case engine::MachinePhase::assigned:
      return Color::cyan;
    case engine::MachinePhase::releasing:
    case engine::MachinePhase::gone:
      return Color::dim;
  }
  return Color::plain;
}

std::string remark(const api::MachineView& machine, Time now) {
  if (machine.phase == engine::MachinePhase::gone) return "";
  if (machine.notice_deadline)
    return "reclaimed in " + formatDuration(std::max(Duration{}, *machine.notice_deadline - now));
  if (machine.unreachable) return "not heard from";
  if (machine.host) return strCat({sizeText(machine.part), " of ", machine.host.toString()});
  return machine.holder.empty() ? "" : "held by " + cleaned(machine.holder);
}

std::vector<Cell> machineRow(const api::MachineView& machine, Time now) {
  const bool gone = machine.phase == engine::MachinePhase::gone;
  const Color quiet = gone ? Color::dim : Color::plain;
  const bool working = machine.phase == engine::MachinePhase::assigned;
  return {Cell(machine.id.toString(), gone ? Color::dim : Color::bold),
          Cell(cleaned(machine.pool), quiet),
          Cell(cleaned(machine.type), quiet),
          Cell(std::string(engine::toString(machine.market)), quiet),
          Cell(formatMoney(Money{machine.price.nano_usd}) + "/h", quiet),
          Cell(std::string(engine::toString(machine.phase)), machineColor(machine.phase)),
          Cell(machine.job ? machine.job.toString() : "", quiet),
          Cell(working ? std::string(engine::toString(machine.use)) : "", quiet),
          Cell(machine.billed_from && !gone ? age(*machine.billed_from, now) : "", quiet),
          Cell(remark(machine, now),
               machine.notice_deadline || machine.unreachable ? Color::yellow : Color::dim)};
}

int listMachines(const Context& context, const ListFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->get(flags.all ? "/v1/machines?all=1" : "/v1/machines");
  if (!body) return context.fail(body.error());
  if (flags.json) {
    context.print(*body + "\n");
    return 0;
  }
  auto machines = api::parseMachines(*body);
  if (!machines) return context.fail(machines.error());
  if (machines->empty()) {
    context.print("No machines now: they come with jobs and go with them.\n");
    return 0;
  }
  const Time now = wallClock();
  Table table{{{"MACHINE"},
               {"POOL", Align::left, true},
               {"TYPE"},
               {"MARKET"},
               {"PRICE", Align::right},
               {"STATE"},
               {"JOB"},
               {"USE"},
               {"UP", Align::right},
               {"", Align::left, true}},
              {}};
  for (const api::MachineView& machine : *machines) table.rows.push_back(machineRow(machine, now));
  context.print(renderTable(context.out, table));
  return 0;
}

int open(const Context& context, const OpenFlags& flags, bool json) {
  api::OpenMachineRequest request;
  request.pool = flags.pool;
  request.market = flags.market == "spot" ? engine::Market::spot : engine::Market::on_demand;
  request.holder = environment("USER").value_or("somebody");
  if (!flags.memory.empty()) {
    auto memory = parseByteCount(flags.memory);
    if (!memory) return context.fail(memory.error().wrap("--memory"));
    request.resources.memory = *memory;
  }
  if (!flags.cpus.empty()) {
    char* end = nullptr;
    const double cpus = std::strtod(flags.cpus.c_str(), &end);
    if (*end != '\0' || !(cpus > 0) || cpus > 1e5)
      return context.fail(
          {ErrorCode::invalid_argument, "--cpus must be a number above 0, not '" + flags.cpus + "'", false});
    request.resources.milli_cpus = static_cast<std::int32_t>(cpus * 1000);
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->post("/v1/machines", api::toJson(request));
  if (!body) return context.fail(body.error());
  auto machine = api::parseMachine(*body);
  if (!machine) return context.fail(machine.error());
  const std::string id = machine->id.toString();
  context.print(json ? *body + "\n"
                     : id + " is opened; it costs until you close it: buoy machines close " + id + "\n");
  return 0;
}

int close(const Context& context, const std::string& machine) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->remove("/v1/machines/" + pathPart(machine));
  if (!body) return context.fail(body.error());
  context.print(machine + " is closed\n");
  return 0;
}

}  // namespace

void addMachines(Command& root) {
  auto flags = std::make_shared<ListFlags>();
  Command& command = root.add("machines", "List machines, or hold one open to work on");
  command.flag("--all,-a", flags->all, "those that are gone as well");
  command.flag("--json", flags->json, "print the server's answer");
  command.action = [flags](Context& context) { return listMachines(context, *flags); };

  auto open_flags = std::make_shared<OpenFlags>();
  Command& opener = command.add("open", "Hold a machine open");
  opener.option("--pool", "POOL", open_flags->pool, "where from (local)", Hint::pool);
  opener.choice("--market", {"spot", "on-demand"}, open_flags->market, "what to pay (spot)");
  opener.option("--cpus", "N", open_flags->cpus, "at least so many (1)");
  opener.option("--memory", "SIZE", open_flags->memory, "at least so much");
  // The same variable: "buoy machines --json open" means what "buoy machines open --json" does.
  opener.flag("--json", flags->json, "print the server's answer");
  opener.action = [flags, open_flags](Context& context) { return open(context, *open_flags, flags->json); };

  auto machine = std::make_shared<std::string>();
  Command& closer = command.add("close", "Give a machine back that is held open");
  closer.argument("MACHINE", *machine, "a machine's id", Hint::machine);
  closer.action = [machine](Context& context) { return close(context, *machine); };
}

}  // namespace buoy::cli
