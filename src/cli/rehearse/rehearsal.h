#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/rehearse/cost.h"
#include "cli/rehearse/outputs.h"
#include "cli/rehearse/result.h"
#include "cli/rehearse/runner.h"

namespace buoy::cli {

struct RehearsalOptions {
  std::vector<Scenario> scenarios;
  double tolerance = 0;
  Duration notice{};  // zero: as the run's length allows, at most two minutes
  Time until{};       // of all of it
  os::InterruptWatch* interrupts = nullptr;
  // What is being done, and how far it is: "without notice", the run so far, how long the undisturbed one
  // took (zero: not known yet).
  std::function<void(std::string_view what, const RehearsedRun& so_far, Duration expected)> progress;
  std::function<void(const ScenarioRun& done)> finished;
};

struct RehearsalOutcome {
  RehearsedRun reference;
  std::vector<ScenarioRun> runs;
  std::vector<std::string> ignored;  // metrics and outputs that differ from run to run even undisturbed
  std::optional<Error> cut_short;    // the time was up, or Ctrl-C: `runs` is what was done by then
  Verdict verdict() const;           // of all runs
};

// Runs the job undisturbed, then once a scenario, and judges. An error: nothing could be learned, such as a
// job that fails undisturbed.
Result<RehearsalOutcome> rehearse(RehearsalStage& stage, const api::SubmitRequest& request,
                                  const RehearsalOptions& options);

}  // namespace buoy::cli
