// buoy simulate: what policies would pay for a job with a deadline, on recorded or made-up markets.
#include <memory>

#include "api/json_writer.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/forecast/pool_past.h"
#include "cli/forecast/report.h"
#include "cli/render/plot.h"
#include "cli/render/progress.h"
#include "cli/render/table.h"
#include "cli/submission.h"
#include "cli/traces.h"
#include "os/files.h"
#include "schedule/checkpoint_interval.h"
#include "schedule/spot/policies.h"
#include "schedule/spot/trace_history.h"
#include "sim/generated_market.h"
#include "sim/optimum.h"
#include "sim/trace_statistics.h"

namespace buoy::cli {
namespace {

struct SimulateFlags {
  std::string file;
  std::vector<std::string> traces, learn;
  std::string start_tick, starts, seed = "1", work, deadline, changeover, od_price, spot_price, interval,
                                  save_cost, unnoticed;
  std::string machines, policy = "all", svg;
  bool json = false;

  // One window of recorded markets, to the second; else many starts.
  bool exact() const {
    return !start_tick.empty() || (file.empty() && starts.empty() && svg.empty() && !traces.empty());
  }
};

tl::unexpected<Error> wrong(std::string_view flag, std::string_view problem) {
  return fail(ErrorCode::invalid_argument, strCat({flag, ": ", problem}));
}

template <class Number>
Result<Number> numberFlag(std::string_view flag, const std::string& given) {
  if (const auto value = parseNumber<Number>(given)) return *value;
  return wrong(flag, strCat({"must be a numberFlag, not ", inQuotes(given)}));
}

Result<Duration> duration(std::string_view flag, const std::string& given) {
  if (given.empty()) return wrong(flag, "is needed, such as 48h");
  auto value = parseDuration(given);
  if (!value) return fail(value.error().wrap(flag));
  return value;
}

Result<PricePerHour> price(std::string_view flag, const std::string& given) {
  BUOY_TRY(const double usd, numberFlag<double>(flag, given));
  auto value = priceFromUsd(usd);
  if (!value) return fail(value.error().wrap(flag));
  return value;
}

// What the flags say, beside the markets; what they do not say stays as it is.
Status setWindow(const SimulateFlags& flags, std::span<const sim::Trace> traces, sim::Window& window) {
  if (!flags.start_tick.empty()) {
    BUOY_TRY(window.start_tick, numberFlag<std::size_t>("--start-tick", flags.start_tick));
  }
  if (!flags.work.empty() || window.work == Duration{}) {
    BUOY_TRY(window.work, duration("--work", flags.work));
  }
  if (!flags.deadline.empty() || window.deadline == Duration{}) {
    BUOY_TRY(window.deadline, duration("--deadline", flags.deadline));
  }
  if (!flags.changeover.empty()) {
    BUOY_TRY(window.changeover, duration("--changeover", flags.changeover));
  }
  if (!flags.machines.empty()) {
    BUOY_TRY(window.machines, numberFlag<std::int32_t>("--machines", flags.machines));
  }
  window.on_demand_price = traces.front().on_demand_price;
  if (!flags.od_price.empty()) {
    BUOY_TRY(window.on_demand_price, price("--od-price", flags.od_price));
  } else if (window.on_demand_price == PricePerHour{}) {
    return wrong("--od-price", "is needed: the trace does not tell the on-demand price");
  }
  if (!flags.spot_price.empty() && flags.spot_price != "trace") {
    BUOY_TRY(window.spot_price, price("--spot-price", flags.spot_price));
  }
  return {};
}

Result<std::vector<schedule::spot::History>> learnedFrom(const SimulateFlags& flags, std::int32_t machines) {
  BUOY_TRY(const auto past, readTraces(flags.learn));
  std::vector<schedule::spot::History> learned;
  for (const sim::Trace& trace : past) learned.push_back(schedule::spot::historyOf(trace, machines));
  return learned;
}

// One window.

struct Row {
  std::string policy;
  sim::WindowResult result;
};

Result<std::vector<Row>> rowsOf(const SimulateFlags& flags, sim::Window window) {
  if (flags.traces.empty()) return wrong("--trace", "name the file of a recorded market");
  BUOY_TRY(const auto traces, readTraces(flags.traces));
  BUOY_TRY_VOID(setWindow(flags, traces, window));
  std::vector<const sim::Trace*> zones;
  for (const sim::Trace& trace : traces) zones.push_back(&trace);
  BUOY_TRY_VOID(sim::validate(window, zones));
  BUOY_TRY(auto learned, learnedFrom(flags, window.machines));
  const auto planner = std::make_shared<schedule::spot::Planner>(std::move(learned));
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

std::string jsonOf(const Row& row) {
  std::string text;
  api::JsonWriter(text)
      .beginObject()
      .field("policy", row.policy)
      .field("cost", row.result.cost)
      .field("finish_hours", hoursOf(row.result.finish))
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

int runExact(const Context& context, const SimulateFlags& flags, const sim::Window& window) {
  const auto rows = rowsOf(flags, window);
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

// Many starts.

constexpr Duration kUsualChangeover = std::chrono::minutes{6};

std::string usdAnHour(PricePerHour price) {
  return formatMoney(Money{price.nano_usd});
}

// The recorded markets, or one that is made up: of three months, so that starts differ.
Result<std::vector<sim::Trace>> marketFor(const SimulateFlags& flags, std::uint64_t seed,
                                          std::int32_t machines, ForecastReport& report) {
  if (!flags.traces.empty()) {
    BUOY_TRY(auto traces, readTraces(flags.traces));
    report.market = "recorded, ";
    for (const sim::Trace& trace : traces) {
      if (&trace != traces.data()) report.market += ", ";
      report.market += trace.place() == "/" ? "one zone" : trace.place();
      report.market += strCat({" (", formatPercent(sim::statisticsOf(trace, machines).up_share), " up)"});
    }
    return traces;
  }
  const sim::MarketModel model{.seed = seed, .ticks = 40'000, .most = machines > 1 ? 2 * machines : 1};
  auto traces = sim::generateMarket(model);
  report.market =
      strCat({"made up (give recorded ones with --trace): on-demand at ", usdAnHour(model.on_demand_price),
              ", spot at about ", usdAnHour(model.spot_price), " an hour, up ",
              formatPercent(sim::statisticsOf(traces.front(), machines).up_share), " of the time"});
  return traces;
}

// How the job saves: as its file or the flags say, or as Buoy would choose where that is left to it.
Result<sim::Saves> savesOf(const SimulateFlags& flags, const api::JobSpec* job, std::uint64_t seed,
                           ForecastReport& report) {
  const schedule::IntervalInputs inputs{.hazard = schedule::usualSpotHazard(), .age = std::chrono::hours{1}};
  const schedule::CheckpointInterval usual = schedule::chooseInterval(inputs);
  sim::Saves saves{
      .interval = usual.interval, .cost = usual.cost, .unnoticed = inputs.hazard.unnoticed, .seed = seed};
  if (!flags.save_cost.empty()) {
    BUOY_TRY(saves.cost, duration("--save-cost", flags.save_cost));
  }
  if (!flags.unnoticed.empty()) {
    BUOY_TRY(saves.unnoticed, numberFlag<double>("--unnoticed", flags.unnoticed));
    if (!(saves.unnoticed >= 0 && saves.unnoticed <= 1)) return wrong("--unnoticed", "must be from 0 to 1");
  }
  if (!flags.interval.empty() && flags.interval != "auto") {
    BUOY_TRY(saves.interval, duration("--interval", flags.interval));
  } else if (job && !job->checkpoint) {
    saves = {.interval = sim::Saves::kNever};
    report.assumptions.emplace_back(
        "the job keeps no checkpoint, so it begins again after every reclaim: the policy 'buoy' takes "
        "spot only where there is time to do the work twice and it is likely to pay");
    return saves;
  } else if (job && job->checkpoint->interval && flags.interval.empty()) {
    saves.interval = *job->checkpoint->interval;
  }
  report.assumptions.push_back(strCat(
      {"a save every ", formatDuration(saves.interval), " holds the work up for ", formatDuration(saves.cost),
       "; ", formatPercent(saves.unnoticed), " of the reclaims come without notice"}));
  return saves;
}

std::vector<std::string> chosenPolicies(const std::string& policy) {
  if (policy == kOmniscient) return {};
  if (policy != "all") return {policy};
  return {schedule::spot::policyNames().begin(), schedule::spot::policyNames().end()};
}

Result<ForecastRequest> requestOf(const Context& context, const SimulateFlags& flags,
                                  const sim::Window& window, const api::JobSpec* job,
                                  ForecastReport& report) {
  ForecastRequest request;
  request.window = window;
  if (job) request.budget = job->budget;
  BUOY_TRY(request.seed, numberFlag<std::uint64_t>("--seed", flags.seed));
  if (!flags.starts.empty()) {
    BUOY_TRY(request.starts, numberFlag<std::size_t>("--starts", flags.starts));
    if (request.starts < 1 || request.starts > 1'000'000)
      return wrong("--starts", "must be from 1 to a million");
  }
  if (!flags.machines.empty()) {
    BUOY_TRY(request.window.machines, numberFlag<std::int32_t>("--machines", flags.machines));
  }
  BUOY_TRY(request.zones, marketFor(flags, request.seed, request.window.machines, report));
  if (flags.changeover.empty()) request.window.changeover = kUsualChangeover;
  BUOY_TRY_VOID(setWindow(flags, request.zones, request.window));
  report.assumptions.push_back(strCat({"a changeover takes ", formatDuration(request.window.changeover),
                                       flags.changeover.empty() ? " (--changeover)" : ""}));
  BUOY_TRY(request.window.saves, savesOf(flags, job, request.seed, report));
  BUOY_TRY(request.learned, learnedFrom(flags, request.window.machines));
  if (job && flags.learn.empty()) {
    PoolPast past = pastOfPools(context, *job);
    request.learned = std::move(past.histories);
    report.assumptions.push_back(std::move(past.said));
  }
  request.policies = chosenPolicies(flags.policy);
  return request;
}

int runForecast(const Context& context, const SimulateFlags& flags, const sim::Window& window,
                const api::JobSpec* job) {
  ForecastReport report;
  if (job) report.job = job->name;
  const auto request = requestOf(context, flags, window, job, report);
  if (!request) return context.fail(request.error());
  std::string shown;
  const auto result = forecast(*request, [&](std::size_t done, std::size_t of) {
    if (!context.err_terminal) return;
    const double share = static_cast<double>(done) / static_cast<double>(of);
    std::string line = strCat({"simulating  ", bar(context.err, share, 30), "  ", formatPercent(share)});
    if (line == shown) return;
    shown = std::move(line);
    context.note("\r\033[2K" + shown);
  });
  if (!shown.empty()) context.note("\r\033[2K");
  if (!result) return context.fail(result.error());
  report.window = request->window;
  report.seed = request->seed;
  report.forecast = *result;
  if (!flags.svg.empty()) {
    if (const Status written = os::writeFileAtomic(flags.svg, toSvg(report)); !written)
      return context.fail(written.error());
  }
  context.print(flags.json ? toJson(report) : renderForecast(context.out, report));
  return 0;
}

int runSimulate(const Context& context, const SimulateFlags& flags) {
  sim::Window window;
  if (flags.file.empty() && !flags.work.empty())
    return flags.exact() ? runExact(context, flags, window) : runForecast(context, flags, window, nullptr);
  JobFlags of_job;
  of_job.file = flags.file;
  of_job.no_source = true;
  const auto input = readInput(context, of_job, false);
  if (!input) return input.error();
  const api::JobSpec& job = input->spec;
  window.machines = job.machines;
  window.work = job.work;
  if (job.deadline)
    window.deadline = job.deadline->at == Time{} ? job.deadline->in : job.deadline->at - wallClock();
  return flags.exact() ? runExact(context, flags, window) : runForecast(context, flags, window, &job);
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
  Command& command = root.add("simulate", "Say what a job with a deadline would cost, before paying");
  command.optionalArgument("FILE", flags->file, "the job (./buoy.yaml, unless --work is given)", Hint::file);
  command.under("Job")
      .option("--work", "TIME", flags->work, "running time that it needs, such as 48h (the job's)")
      .option("--deadline", "TIME", flags->deadline, "from the start until it must be done (the job's)")
      .option("--machines", "N", flags->machines, "size of the gang (the job's)")
      .option("--changeover", "TIME", flags->changeover,
              "from a launch until work goes on (6m; in one window: 0s)")
      .option("--interval", "TIME|auto", flags->interval, "between two saves (the job's)")
      .option("--save-cost", "TIME", flags->save_cost, "that a save holds the work up for")
      .option("--unnoticed", "SHARE", flags->unnoticed, "part of the reclaims without notice (0.05)");
  command.under("Market")
      .listOption("--trace", "FILE", flags->traces, "recorded markets to choose from, one a zone", Hint::file)
      .listOption("--market", "FILE", flags->traces, "the same", Hint::file)
      .option("--od-price", "USD", flags->od_price, "on-demand price an hour (the trace's)")
      .option("--spot-price", "USD|trace", flags->spot_price, "spot price an hour (trace: the recorded ones)")
      .listOption("--learn", "FILE", flags->learn,
                  "the only past that the policy buoy may learn from (the server's, of the job's pools)",
                  Hint::file);
  command.under("Simulation")
      .choice("--policy", policyChoices(), flags->policy, "whose decisions (all)")
      .option("--starts", "N", flags->starts, "how many starts to try (500)")
      .option("--seed", "N", flags->seed, "of what is left to chance (1)")
      .option("--start-tick", "N", flags->start_tick,
              "one window only: it begins at this tick of the traces, and nothing is lost in a reclaim")
      .option("--svg", "FILE", flags->svg, "write a picture of the costs", Hint::file)
      .flag("--json", flags->json, "print JSON; of one window an object for each policy");
  command.details =
      "Many starts are spread over the markets, and each policy runs the job from each of them by the code "
      "that\n"
      "steers real jobs; beside them stands the least that anybody could have paid who knew the future.\n"
      "\n"
      "Examples:\n"
      "  buoy simulate job.yaml --trace us-east-1a.json us-east-1b.json --svg costs.svg\n"
      "  buoy simulate --work 48h --deadline 60h                        on a market that is made up\n"
      "  buoy simulate --trace a.json --start-tick 500 --work 48h --deadline 60h --policy omniscient --json";
  command.action = [flags](Context& context) { return runSimulate(context, *flags); };
}

}  // namespace buoy::cli
