// buoy queues: where jobs wait.
#include <memory>

#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/render/table.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

int listQueues(const Context& context, bool json) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->get("/v1/queues");
  if (!body) return context.fail(body.error());
  if (json) {
    context.print(*body + "\n");
    return 0;
  }
  auto queues = api::parseQueues(*body);
  if (!queues) return context.fail(queues.error());
  Table table{
      {{"QUEUE"}, {"PRIORITY", Align::right}, {"JOBS", Align::right}, {"POOLS", Align::left, true}, {""}},
      {}};
  for (const api::QueueView& view : *queues) {
    table.rows.push_back({Cell(cleaned(view.queue.name), Color::bold),
                          Cell(std::to_string(view.queue.priority)), Cell(std::to_string(view.unfinished)),
                          Cell(cleaned(join(view.queue.pools, ", "))),
                          Cell(view.queue.paused ? "paused"
                               : view.queue.fair ? "shared fairly"
                                                 : "",
                               view.queue.paused ? Color::yellow : Color::dim)});
  }
  context.print(renderTable(context.out, table));
  return 0;
}

}  // namespace

void addQueues(Command& root) {
  auto json = std::make_shared<bool>(false);
  Command& command = root.add("queues", "List queues");
  command.flag("--json", *json, "print the server's answer");
  command.details = "Queues are made by `buoy pools apply -f FILE` or in the server's config.yaml.";
  command.action = [json](Context& context) { return listQueues(context, *json); };
}

}  // namespace buoy::cli
