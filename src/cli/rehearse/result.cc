#include "cli/rehearse/result.h"

#include "cli/exit_codes.h"

namespace buoy::cli {

std::string_view toString(Scenario scenario) {
  switch (scenario) {
    case Scenario::notice:
      return "notice";
    case Scenario::no_notice:
      return "no-notice";
    case Scenario::during_save:
      return "during-save";
    case Scenario::twice:
      return "twice";
  }
  return "";
}

std::string_view describe(Scenario scenario) {
  switch (scenario) {
    case Scenario::notice:
      return "with notice";
    case Scenario::no_notice:
      return "without notice";
    case Scenario::during_save:
      return "during a save";
    case Scenario::twice:
      return "twice in a row";
  }
  return "";
}

std::optional<Scenario> scenarioOf(std::string_view word) {
  for (const Scenario scenario : kScenarios) {
    if (word == toString(scenario)) return scenario;
  }
  return std::nullopt;
}

std::string_view toString(Verdict verdict) {
  switch (verdict) {
    case Verdict::exact:
      return "exact";
    case Verdict::inconclusive:
      return "inconclusive";
    case Verdict::unrepeatable:
      return "unrepeatable";
    case Verdict::drifts:
      return "drifts";
    case Verdict::restarts:
      return "restarts from zero";
    case Verdict::fails:
      return "fails";
  }
  return "";
}

int exitCodeOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::exact:
      return static_cast<int>(ExitCode::ok);
    case Verdict::inconclusive:
      return static_cast<int>(ExitCode::inconclusive);
    case Verdict::unrepeatable:
      return static_cast<int>(ExitCode::unrepeatable);
    case Verdict::drifts:
      return static_cast<int>(ExitCode::drifts);
    case Verdict::restarts:
      return static_cast<int>(ExitCode::restarts);
    case Verdict::fails:
      return static_cast<int>(ExitCode::fails_after_reclaim);
  }
  return static_cast<int>(ExitCode::failure);
}

}  // namespace buoy::cli
