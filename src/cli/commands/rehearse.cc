// buoy rehearse: take the job's machines away here, and see whether it resumes.
#include <memory>

#include "api/input_source.h"
#include "api/views.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/rehearse/report.h"
#include "cli/server_process.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

constexpr std::size_t kEnoughLives = 20;  // of the user's own machines, to be told of as measured

struct RehearseFlags {
  JobFlags job;
  std::vector<std::string> scenarios;
  std::string time_limit = "30m", notice, tolerance, hazard, price;
  bool json = false;
};

Error badFlag(const std::string& flag, const std::string& message) {
  return {ErrorCode::invalid_argument, flag + ": " + message, false};
}

Result<double> positive(const std::string& flag, const std::string& text) {
  const auto value = parseNumber<double>(text);
  if (value && *value >= 0 && *value <= 1e6) return *value;
  return fail(badFlag(flag, "must be a number, and not negative, not " + inQuotes(text)));
}

Result<std::vector<Scenario>> scenariosOf(const std::vector<std::string>& words) {
  std::vector<Scenario> scenarios;
  for (const std::string& word : words) {
    const auto scenario = scenarioOf(word);
    if (!scenario)
      return fail(
          badFlag("--scenario", "must be notice, no-notice, during-save or twice, not " + inQuotes(word)));
    scenarios.push_back(*scenario);
  }
  if (scenarios.empty()) scenarios.assign(std::begin(kScenarios), std::end(kScenarios));
  return scenarios;
}

// The job as it runs on the stage: there is one pool, and what would hide a bad resume is off.
Result<api::JobSpec> forTheStage(api::JobSpec spec) {
  for (const auto& [name, input] : spec.inputs) {
    const auto source = api::parseInputSource(input.from);
    if (source && source->kind == api::InputSource::Kind::job) {
      return fail(ErrorCode::invalid_argument,
                  strCat({"inputs.", name, ": ", inQuotes(input.from),
                          " lies with the server's jobs, and a rehearsal has a "
                          "server of its own; download it, and rehearse with --input ",
                          name, "=DIRECTORY"}));
    }
  }
  if (spec.checkpoint && !spec.checkpoint->from.empty())
    return fail(
        ErrorCode::invalid_argument,
        "checkpoint.from: that job's checkpoint lies with the server's jobs, and a rehearsal has a server of "
        "its own; rehearse without it");
  if (spec.outputs.empty() && spec.metrics.empty()) {
    return fail(ErrorCode::invalid_argument,
                "there is nothing to compare: name what the job leaves with `outputs` (--output), or what it "
                "prints with `metrics` (--metric)");
  }
  spec.pools = {"local"};
  spec.queue = "default";
  spec.spot = engine::SpotPreference::only;
  spec.retry_failures = 0;
  spec.max_run = spec.max_wait = Duration{};
  spec.deadline.reset();
  spec.policy = engine::SpotRule::none;
  spec.budget = {};
  return spec;
}

// What the user's own server knows of its machines, if it runs and knows enough.
struct Market {
  schedule::Hazard hazard = schedule::usualSpotHazard();
  std::string source = "recorded spot markets";
  PricePerHour price;  // of one machine; zero: not known
};

void learnFrom(const std::vector<api::MachineView>& machines, Market& market) {
  schedule::HazardLearner learner;
  std::size_t lives = 0;
  const Time now = wallClock();
  for (const api::MachineView& machine : machines) {
    if (machine.market != engine::Market::spot || !machine.billed_from) continue;
    using End = schedule::MachineLife::End;
    End end = machine.notice_deadline ? End::noticed : machine.taken ? End::unnoticed : End::given_back;
    if (!machine.ended || machine.reclaim_asked) end = End::given_back;
    learner.add({machine.ended.value_or(now) - *machine.billed_from, end});
    ++lives;
  }
  if (lives < kEnoughLives) return;
  market.hazard = learner.estimate();
  market.source = counted(lives, "spot machine") + " of your server";
}

PricePerHour cheapestSpot(const std::vector<api::PoolView>& pools, const api::JobSpec& spec) {
  PricePerHour best;
  for (const api::PoolView& view : pools) {
    const bool named = spec.pools.empty() ||
                       std::find(spec.pools.begin(), spec.pools.end(), view.pool.name) != spec.pools.end();
    for (const engine::MachineType& type : view.pool.types) {
      const bool fits = type.resources.milli_cpus >= spec.resources.milli_cpus &&
                        type.resources.gpus >= spec.resources.gpus &&
                        type.resources.memory >= spec.resources.memory;
      if (named && fits && view.pool.spot && (best.nano_usd == 0 || type.spot_price < best))
        best = type.spot_price;
    }
  }
  return best;
}

Market marketOf(const Context& context, const api::JobSpec& spec) {
  Market market;
  auto address = serverAddress(context.server);
  if (!address || !serverAnswers(*address)) return market;
  Connection connection(*address, Connection::Start::never);
  if (const auto body = connection.get("/v1/machines?all=1&limit=5000")) {
    if (const auto machines = api::parseMachines(*body)) learnFrom(*machines, market);
  }
  if (const auto body = connection.get("/v1/pools")) {
    if (const auto pools = api::parsePools(*body)) market.price = cheapestSpot(*pools, spec);
  }
  return market;
}

// One line that is drawn again on a terminal; elsewhere a line for each run that is done.
class Progress {
 public:
  explicit Progress(const Context& context) : context_(context) {}
  ~Progress() { clear(); }

  void show(std::string_view what, const RehearsedRun& run, Duration expected) {
    if (!context_.err_terminal || wallClock() - drawn_ < std::chrono::milliseconds{100}) return;
    drawn_ = wallClock();
    const Duration ran = run.running() == Time{} ? Duration{} : drawn_ - run.running();
    std::string line = strCat({what, ": ", run.attempts.empty() ? "starting" : formatDuration(ran)});
    if (expected > Duration{}) line += " of about " + formatDuration(expected);
    if (run.attempts.size() > 1) line += strCat({", attempt ", std::to_string(run.attempts.back().number)});
    clear();
    context_.note(paint(context_.err, Color::dim, line));
    shown_ = true;
  }
  void finished(const ScenarioRun& done) {
    clear();
    context_.note(strCat(
        {describe(done.scenario), ": ",
         paint(context_.err, colorOf(done.judgement.verdict), toString(done.judgement.verdict)), "\n"}));
  }

 private:
  void clear() {
    if (shown_) context_.note("\r\033[2K");
    shown_ = false;
  }
  const Context& context_;
  Time drawn_{};
  bool shown_ = false;
};

struct Settings {
  RehearsalOptions rehearsal;
  std::optional<double> hazard, price;
};

Result<Settings> settingsOf(const RehearseFlags& flags) {
  Settings settings;
  RehearsalOptions& options = settings.rehearsal;
  BUOY_TRY(options.scenarios, scenariosOf(flags.scenarios));
  auto limit = parseDuration(flags.time_limit);
  if (!limit) return fail(badFlag("--time-limit", limit.error().message));
  options.until = wallClock() + *limit;
  if (!flags.notice.empty()) {
    auto notice = parseDuration(flags.notice);
    if (!notice) return fail(badFlag("--notice", notice.error().message));
    options.notice = *notice;
  }
  if (!flags.tolerance.empty()) {
    BUOY_TRY(options.tolerance, positive("--tolerance", flags.tolerance));
  }
  if (!flags.hazard.empty()) {
    BUOY_TRY(settings.hazard, positive("--hazard", flags.hazard));
  }
  if (!flags.price.empty()) {
    BUOY_TRY(settings.price, positive("--price", flags.price));
  }
  return settings;
}

Result<RehearsalReport> rehearseJob(const Context& context, const Settings& settings, const JobInput& input,
                                    RehearsalStage& stage, Progress& progress) {
  api::SubmitRequest request;
  BUOY_TRY(request.spec, forTheStage(input.spec));
  if (!input.source.files.empty()) {
    BUOY_TRY(request.spec.source, upload(context, stage.connection(), input.source));
  }
  RehearsalReport report;
  report.name = input.spec.name;
  RehearsalOptions options = settings.rehearsal;
  options.progress = [&](std::string_view what, const RehearsedRun& run, Duration expected) {
    progress.show(what, run, expected);
  };
  options.finished = [&](const ScenarioRun& done) { progress.finished(done); };
  BUOY_TRY(report.outcome, rehearse(stage, request, options));
  Market market = marketOf(context, input.spec);
  if (settings.hazard) {
    market.hazard.steps = {{Duration{}, *settings.hazard}};
    market.source = "as given";
  }
  if (settings.price) {
    BUOY_TRY(market.price, priceFromUsd(*settings.price));
  }
  market.price.nano_usd *= input.spec.machines;
  report.cost = costOf(report.outcome.reference, report.outcome.runs, market.hazard, market.price);
  report.hazard_source = std::move(market.source);
  return report;
}

int runRehearse(const Context& context, const RehearseFlags& flags) {
  auto settings = settingsOf(flags);
  if (!settings) return context.fail(settings.error());
  auto input = readInput(context, flags.job, true);
  if (!input) return input.error();
  if (auto fit = forTheStage(input->spec); !fit) return context.fail(fit.error());
  auto interrupts = os::InterruptWatch::create();
  if (!interrupts) return context.fail(interrupts.error());
  settings->rehearsal.interrupts = &*interrupts;
  auto stage = RehearsalStage::open(input->spec);
  if (!stage) return context.fail(stage.error());
  auto report = [&] {
    Progress progress(context);
    return rehearseJob(context, *settings, *input, **stage, progress);
  }();
  if (!report) {
    context.fail(report.error());
    const ErrorCode code = report.error().code;
    if (code == ErrorCode::cancelled) return static_cast<int>(ExitCode::cancelled);
    if (code == ErrorCode::deadline_exceeded) return static_cast<int>(ExitCode::timed_out);
    return code == ErrorCode::failed_precondition ? static_cast<int>(ExitCode::failure) : exitCodeOf(code);
  }
  context.print(flags.json ? toJson(*report) + "\n" : renderRehearsal(context.out, *report));
  const auto& cut_short = report->outcome.cut_short;
  if (!cut_short) return exitCodeOf(report->outcome.verdict());
  return static_cast<int>(cut_short->code == ErrorCode::cancelled ? ExitCode::cancelled
                                                                  : ExitCode::timed_out);
}

}  // namespace

void addRehearse(Command& root) {
  auto flags = std::make_shared<RehearseFlags>();
  Command& command = root.add("rehearse", "Run a job here and take its machines, to see whether it resumes");
  addJobFlags(command, flags->job);
  command.under("Rehearsal")
      .option("--scenario", "NAME", flags->scenarios,
              "notice, no-notice, during-save or twice; may be repeated (all)")
      .option("--time-limit", "TIME", flags->time_limit, "for everything (30m); then 124")
      .option("--reclaim-notice", "TIME", flags->notice,
              "of the reclaim with notice (a quarter of the run, at most 2m)")
      .option("--tolerance", "PART", flags->tolerance,
              "by which numbers may differ, as in 1e-6 (every bit counts)")
      .option("--hazard", "RATE", flags->hazard,
              "reclaims an hour (your server's, or those of recorded markets)")
      .option("--price", "USD", flags->price, "of a machine an hour (your server's)")
      .flag("--json", flags->json, "print everything as JSON");
  command.details =
      "The job runs undisturbed, and again under each kind of reclaim, on local machines of a server of its\n"
      "own; nothing else is touched. Its outputs and metrics are compared. The exit code is the verdict:\n"
      "0 exact, 10 drifts, 11 restarts from zero, 12 fails, 13 differs from run to run even undisturbed,\n"
      "14 inconclusive.\n"
      "\n"
      "Examples:\n"
      "  buoy rehearse                              the job in ./buoy.yaml\n"
      "  buoy rehearse job.yaml --scenario twice    one kind of reclaim\n"
      "  buoy rehearse --env EPOCHS=3 --tolerance 1e-6";
  command.action = [flags](Context& context) { return runRehearse(context, *flags); };
}

}  // namespace buoy::cli
