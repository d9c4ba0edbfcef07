// buoy simulate: what policies would have paid, on recorded markets.
#include <memory>

#include "api/json_writer.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/render/table.h"
#include "cli/traces.h"
#include "schedule/spot/policies.h"
#include "schedule/spot/trace_history.h"
#include "sim/optimum.h"
#include "sim/window.h"

namespace buoy::cli {
namespace {

constexpr std::string_view kOmniscient = "omniscient";

struct SimulateFlags {
  std::vector<std::string> traces, learn;
  std::string start_tick = "0", work, deadline, changeover = "0s", od_price, spot_price = "trace";
  std::string machines = "1", policy = "all";
  bool json = false;
};

tl::unexpected<Error> wrong(std::string_view flag, std::string_view problem) {
  return fail(ErrorCode::invalid_argument, strCat({flag, ": ", problem}));
}

template <class Number>
Result<Number> number(std::string_view flag, const std::string& given) {
  if (const auto value = parseNumber<Number>(given)) return *value;
  return wrong(flag, strCat({"must be a number, not ", inQuotes(given)}));
}

Result<Duration> duration(std::string_view flag, const std::string& given) {
  if (given.empty()) return wrong(flag, "is needed, such as 48h");
  auto value = parseDuration(given);
  if (!value) return fail(value.error().wrap(flag));
  return value;
}

Result<PricePerHour> price(std::string_view flag, const std::string& given) {
  BUOY_TRY(const double usd, number<double>(flag, given));
  auto value = priceFromUsd(usd);
  if (!value) return fail(value.error().wrap(flag));
  return value;
}

Result<sim::Window> windowOf(const SimulateFlags& flags, std::span<const sim::Trace> traces) {
  sim::Window window;
  BUOY_TRY(window.start_tick, number<std::size_t>("--start-tick", flags.start_tick));
  BUOY_TRY(window.work, duration("--work", flags.work));
  BUOY_TRY(window.deadline, duration("--deadline", flags.deadline));
  BUOY_TRY(window.changeover, duration("--changeover", flags.changeover));
  BUOY_TRY(window.machines, number<std::int32_t>("--machines", flags.machines));
  window.on_demand_price = traces.front().on_demand_price;
  if (!flags.od_price.empty()) {
    BUOY_TRY(window.on_demand_price, price("--od-price", flags.od_price));
  } else if (window.on_demand_price == PricePerHour{}) {
    return wrong("--od-price", "is needed: the trace does not tell the on-demand price");
  }
  if (flags.spot_price != "trace") {
    BUOY_TRY(window.spot_price, price("--spot-price", flags.spot_price));
  }
  return window;
}

struct Row {
  std::string policy;
  sim::WindowResult result;
};

Result<std::shared_ptr<schedule::spot::Planner>> plannerFor(const SimulateFlags& flags,
                                                            std::int32_t machines) {
  BUOY_TRY(const auto past, readTraces(flags.learn));
  std::vector<schedule::spot::History> learned;
  for (const sim::Trace& trace : past) learned.push_back(schedule::spot::historyOf(trace, machines));
  return std::make_shared<schedule::spot::Planner>(std::move(learned));
}

Result<std::vector<Row>> rowsOf(const SimulateFlags& flags) {
  if (flags.traces.empty()) return wrong("--trace", "name the file of a recorded market");
  BUOY_TRY(const auto traces, readTraces(flags.traces));
  BUOY_TRY(const sim::Window window, windowOf(flags, traces));
  std::vector<const sim::Trace*> zones;
  for (const sim::Trace& trace : traces) zones.push_back(&trace);
  BUOY_TRY_VOID(sim::validate(window, zones));
  BUOY_TRY(const auto planner, plannerFor(flags, window.machines));
  std::vector<Row> rows;
  for (const std::string_view name : schedule::spot::policyNames()) {
    if (flags.policy != "all" && flags.policy != name) continue;
    BUOY_TRY(const auto policy, schedule::spot::makePolicy(name, planner));
    rows.push_back({std::string(name), sim::replay(window, zones, *policy)});
  }
  if (flags.policy == "all" || flags.policy == kOmniscient) {
    BUOY_TRY(const sim::WindowResult optimum, sim::optimalRun(window, zones));
    rows.push_back({std::string(kOmniscient), optimum});
  }
  return rows;
}

double hours(Duration duration) {
  return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

std::string jsonOf(const Row& row) {
  std::string text;
  api::JsonWriter(text)
      .beginObject()
      .field("policy", row.policy)
      .field("cost", row.result.cost)
      .field("finish_hours", hours(row.result.finish))
      .field("changes", row.result.changes)
      .field("preemptions", row.result.preemptions)
      .field("missed", row.result.missed)
      .endObject();
  return text + "\n";
}

std::string tableOf(const Look& look, std::span<const Row> rows) {
  Table table{.columns = {{"policy"},
                          {"cost", Align::right},
                          {"finish", Align::right},
                          {"launches", Align::right},
                          {"reclaims", Align::right},
                          {"deadline"}},
              .rows = {}};
  for (const Row& row : rows) {
    const sim::WindowResult& result = row.result;
    table.rows.push_back({row.policy, formatMoney(result.cost), formatDuration(result.finish),
                          std::to_string(result.changes), std::to_string(result.preemptions),
                          result.missed ? Cell("missed", Color::red) : Cell("met")});
  }
  return renderTable(look, table);
}

int run(const Context& context, const SimulateFlags& flags) {
  const auto rows = rowsOf(flags);
  if (!rows) return context.fail(rows.error());
  std::string text;
  if (flags.json) {
    for (const Row& row : *rows) text += jsonOf(row);
  } else {
    text = tableOf(context.out, *rows);
  }
  context.print(text);
  return 0;
}

std::vector<std::string> policyChoices() {
  std::vector<std::string> names{"all"};
  for (const std::string_view name : schedule::spot::policyNames()) names.emplace_back(name);
  names.emplace_back(kOmniscient);
  return names;
}

}  // namespace

void addSimulate(Command& root) {
  auto flags = std::make_shared<SimulateFlags>();
  Command& command = root.add("simulate", "Say what policies would have paid on recorded spot markets");
  command.listOption("--trace", "FILE", flags->traces, "recorded markets to choose from, one a zone",
                     Hint::file);
  command.option("--start-tick", "N", flags->start_tick,
                 "the tick of the traces at which the job begins (0)");
  command.option("--work", "TIME", flags->work, "running time that the job needs, such as 48h");
  command.option("--deadline", "TIME", flags->deadline, "from the start until it must be done");
  command.option("--changeover", "TIME", flags->changeover, "from a launch until work goes on (0s)");
  command.option("--od-price", "USD", flags->od_price, "on-demand price an hour (the trace's)");
  command.option("--spot-price", "USD|trace", flags->spot_price,
                 "spot price an hour (trace: the recorded ones)");
  command.option("--machines", "N", flags->machines, "size of the gang (1)");
  command.choice("--policy", policyChoices(), flags->policy, "whose decisions (all)");
  command.listOption("--learn", "FILE", flags->learn, "the only past that the policy buoy may learn from",
                     Hint::file);
  command.flag("--json", flags->json, "one JSON object for each policy");
  command.action = [flags](Context& context) { return run(context, *flags); };
}

}  // namespace buoy::cli
