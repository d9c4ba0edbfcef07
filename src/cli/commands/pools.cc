// buoy pools: where machines come from.
#include <memory>

#include "api/config.h"
#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/job_input.h"
#include "cli/render/history.h"
#include "cli/render/table.h"
#include "cli/submission.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

std::string sizeOf(const engine::MachineType& type) {
  const std::int32_t milli = type.resources.milli_cpus;
  std::string text = (milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m") +
                     (milli == 1000 ? " cpu" : " cpus");
  if (type.resources.memory.value > 0) text += ", " + formatByteCount(type.resources.memory);
  if (type.resources.gpus > 0) text += ", " + counted(static_cast<std::uint64_t>(type.resources.gpus), "gpu");
  return text;
}

std::string stateOf(const engine::Pool& pool, Time now) {
  if (pool.paused) return "paused";
  if (pool.retry_at > now) return "launches fail; next try in " + formatDuration(pool.retry_at - now);
  return "";
}

// One line a machine type; what is the pool's stands in its first line.
void addRows(Table& table, const api::PoolView& view, Time now) {
  const engine::Pool& pool = view.pool;
  bool first = true;
  for (const engine::MachineType& type : pool.types) {
    const std::string limit = pool.max_machines > 0 ? "/" + std::to_string(pool.max_machines) : "";
    table.rows.push_back({Cell(first ? cleaned(pool.name) : "", Color::bold),
                          Cell(first ? cleaned(pool.provider) : ""),
                          Cell(first ? std::to_string(view.in_use) + limit : ""), Cell(cleaned(type.name)),
                          Cell(sizeOf(type)), Cell(pool.spot ? formatHourly(type.spot_price) : "-"),
                          Cell(pool.on_demand ? formatHourly(type.on_demand_price) : "-"),
                          Cell(first ? stateOf(pool, now) : "", Color::yellow)});
    first = false;
  }
}

int listPools(const Context& context, bool json) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->get("/v1/pools");
  if (!body) return context.fail(body.error());
  if (json) {
    context.print(*body + "\n");
    return 0;
  }
  auto pools = api::parsePools(*body);
  if (!pools) return context.fail(pools.error());
  Table table{{{"POOL"},
               {"PROVIDER"},
               {"IN USE", Align::right},
               {"TYPE"},
               {"SIZE"},
               {"SPOT", Align::right},
               {"ON DEMAND", Align::right},
               {"", Align::left, true}},
              {}};
  for (const api::PoolView& pool : *pools) addRows(table, pool, wallClock());
  context.print(renderTable(context.out, table));
  return 0;
}

// Pools first: queues name them.
int applyFile(const Context& context, const std::string& file) {
  auto text = os::readFile(file, 16u << 20);
  if (!text) return context.fail({ErrorCode::invalid_argument, text.error().message, false});
  auto config = api::parseServerConfig(*text, file);
  if (!config) {
    context.note(renderProblems(context.err, config.error()));
    return static_cast<int>(ExitCode::usage);
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  for (const engine::Pool& pool : config->pools) {
    auto answer = (*connection)->put("/v1/pools/" + pathPart(pool.name), api::toJson(pool));
    if (!answer) return context.fail(answer.error().wrap("pool " + pool.name));
    context.print("pool " + pool.name + " is set\n");
  }
  for (const engine::Queue& queue : config->queues) {
    auto answer = (*connection)->put("/v1/queues/" + pathPart(queue.name), api::toJson(queue));
    if (!answer) return context.fail(answer.error().wrap("queue " + queue.name));
    context.print("queue " + queue.name + " is set\n");
  }
  return 0;
}

}  // namespace

void addPools(Command& root) {
  auto json = std::make_shared<bool>(false);
  Command& command = root.add("pools", "List pools, or change them");
  command.flag("--json", *json, "print the server's answer");
  command.action = [json](Context& context) { return listPools(context, *json); };

  auto file = std::make_shared<std::string>();
  Command& applier = command.add("apply", "Make or change the pools and queues of a configuration file");
  applier.option("--file,-f", "FILE", *file, "as the server's config.yaml", Hint::file);
  applier.action = [file](Context& context) {
    if (file->empty())
      return context.fail({ErrorCode::invalid_argument, "buoy pools apply needs a file: -f FILE", false});
    return applyFile(context, *file);
  };
}

}  // namespace buoy::cli
