#include "cli/rehearse/rehearsal.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/rehearse/judge.h"

namespace buoy::cli {
namespace {

// A struck run may take so much longer than the undisturbed one.
constexpr int kPatience = 4;
constexpr Duration kLeastPatience = std::chrono::minutes{1};
constexpr double kUsual = 0.35, kEarly = 0.1;  // of the undisturbed run, before a strike

class Rehearsal {
 public:
  Rehearsal(RehearsalStage& stage, const api::SubmitRequest& request, const RehearsalOptions& options)
      : stage_(stage), request_(request), options_(options) {}

  Result<RehearsalOutcome> run() {
    BUOY_TRY(outcome_.reference, undisturbed("uninterrupted"));
    const RehearsedRun& reference = outcome_.reference;
    if (!reference.succeeded()) {
      return fail(ErrorCode::failed_precondition,
                  strCat({"the job does not succeed undisturbed: ", reference.reason,
                          reference.last_lines.empty() ? "" : "\n", reference.last_lines}));
    }
    if (reference.outputs.empty() && reference.metrics.empty()) {
      return fail(
          ErrorCode::failed_precondition,
          "the job left no output and printed no metric, so there is nothing to compare: name some with "
          "`outputs` or `metrics`");
    }
    BUOY_TRY(outputs_,
             ReferenceOutputs::fetch(stage_.connection(), reference, stage_.directory() + "/reference"));
    for (const Scenario scenario : options_.scenarios) {
      if (Status done = rehearseOne(scenario); !done) return stopped(done.error());
    }
    if (Status done = tellRepeatable(); !done) return stopped(done.error());
    return std::move(outcome_);
  }

 private:
  Result<RehearsalOutcome> stopped(const Error& error) {
    const bool expected = error.code == ErrorCode::cancelled || error.code == ErrorCode::deadline_exceeded;
    if (!expected) return fail(error);
    outcome_.cut_short = error;
    return std::move(outcome_);
  }

  RunnerOptions runnerOptions(std::string_view what, Time until) {
    return {until, options_.interrupts, [this, what](const RehearsedRun& so_far, engine::JobPhase) {
              options_.progress(what, so_far, outcome_.reference.length());
            }};
  }

  Result<RehearsedRun> undisturbed(std::string_view what) {
    return runOnce(stage_, request_, nullptr, runnerOptions(what, options_.until));
  }

  Result<ScenarioRun> strike(Scenario scenario, double earliest) {
    const RehearsedRun& reference = outcome_.reference;
    Striker striker(scenario, reference, {options_.notice, earliest});
    const Duration patience = std::max(reference.length() * kPatience, kLeastPatience);
    const Time limit = wallClock() + patience;
    ScenarioRun done;
    done.scenario = scenario;
    auto run = runOnce(stage_, request_, &striker,
                       runnerOptions(describe(scenario), std::min(limit, options_.until)));
    if (!run) {
      if (run.error().code != ErrorCode::deadline_exceeded || wallClock() >= options_.until)
        return fail(run.error());
      // Not the user's limit but this run's own: it hangs.
      stage_.endJobs();
      done.judgement = {Verdict::fails,
                        {},
                        strCat({"it had not ended after ", formatDuration(patience),
                                "; undisturbed it takes ", formatDuration(reference.length())}),
                        std::nullopt};
      return done;
    }
    done.run = std::move(*run);
    std::vector<Difference> outputs;
    if (done.run.succeeded()) {
      BUOY_TRY(outputs, outputs_.compare(stage_.connection(), done.run, options_.tolerance));
    }
    done.judgement = judge(reference, done.run, std::move(outputs), {options_.tolerance, {}});
    const bool all_came = striker.finished() || done.judgement.verdict != Verdict::exact;
    if (!all_came)
      done.judgement = {Verdict::inconclusive, {}, "the job ended before the second reclaim", std::nullopt};
    return done;
  }

  Status rehearseOne(Scenario scenario) {
    BUOY_TRY(ScenarioRun done, strike(scenario, kUsual));
    if (done.judgement.verdict == Verdict::inconclusive) {
      BUOY_TRY(done, strike(scenario, kEarly));
    }
    options_.finished(done);
    outcome_.runs.push_back(std::move(done));
    return {};
  }

  // Drift is only drift where the job does the same twice when it is left alone.
  Status tellRepeatable() {
    const auto drifting = [](const ScenarioRun& each) { return each.judgement.verdict == Verdict::drifts; };
    if (std::none_of(outcome_.runs.begin(), outcome_.runs.end(), drifting)) return {};
    BUOY_TRY(const RehearsedRun second, undisturbed("uninterrupted again, to see what differs by itself"));
    JudgeOptions options{options_.tolerance,
                         unrepeatableMetrics(outcome_.reference, second, options_.tolerance)};
    BUOY_TRY(const std::vector<Difference> outputs,
             outputs_.compare(stage_.connection(), second, options_.tolerance));
    for (const std::string& name : options.ignore) outcome_.ignored.push_back("metric " + name);
    for (const Difference& each : outputs) outcome_.ignored.push_back(each.what);
    if (outcome_.ignored.empty()) return {};
    const bool nothing_left =
        outcome_.ignored.size() >= outcome_.reference.metrics.size() + outcome_.reference.outputs.size();
    for (ScenarioRun& each : outcome_.runs) {
      if (drifting(each)) leaveOut(each.judgement, nothing_left);
    }
    return {};
  }

  void leaveOut(Judgement& judgement, bool nothing_left) {
    if (nothing_left) {
      judgement.verdict = Verdict::unrepeatable;
      judgement.note = "it does something else each time, also undisturbed";
      return;
    }
    std::erase_if(judgement.differences, [this](const Difference& each) {
      return std::find(outcome_.ignored.begin(), outcome_.ignored.end(), each.what) != outcome_.ignored.end();
    });
    if (judgement.differences.empty()) judgement.verdict = Verdict::exact;
  }

  RehearsalStage& stage_;
  const api::SubmitRequest& request_;
  const RehearsalOptions& options_;
  RehearsalOutcome outcome_;
  ReferenceOutputs outputs_;
};

}  // namespace

Verdict RehearsalOutcome::verdict() const {
  Verdict worst = runs.empty() ? Verdict::inconclusive : Verdict::exact;
  for (const ScenarioRun& each : runs) worst = std::max(worst, each.judgement.verdict);
  return worst;
}

Result<RehearsalOutcome> rehearse(RehearsalStage& stage, const api::SubmitRequest& request,
                                  const RehearsalOptions& options) {
  return Rehearsal(stage, request, options).run();
}

}  // namespace buoy::cli
