#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/views.h"
#include "base/units.h"

// What a rehearsal sees of one run of the job, and what it makes of it. Plain values.
namespace buoy::cli {

enum class Scenario : std::uint8_t {
  notice,       // one reclaim with notice
  no_notice,    // one without, between two saves
  during_save,  // one without, while a checkpoint is being written
  twice,        // one without, and another as soon as the job runs again
};
inline constexpr Scenario kScenarios[] = {Scenario::notice, Scenario::no_notice, Scenario::during_save,
                                          Scenario::twice};
std::string_view toString(Scenario scenario);  // "no-notice"
std::string_view describe(Scenario scenario);  // "without notice"
std::optional<Scenario> scenarioOf(std::string_view word);

// In the order of how bad they are; that of the whole rehearsal is the worst.
enum class Verdict : std::uint8_t {
  exact,         // every output and metric as without interruption
  inconclusive,  // the job was too quick, or ended, for the reclaim to come as meant
  unrepeatable,  // two undisturbed runs differ in everything that could be compared
  drifts,        // it resumes, and ends with something else
  restarts,      // it begins again: nothing was saved, or what was is not used
  fails,         // it does not end well after a reclaim
};
std::string_view toString(Verdict verdict);
int exitCodeOf(Verdict verdict);  // docs/rehearse.md

struct RehearsedRun {
  struct Attempt {
    std::uint32_t number = 0;
    Time running{};  // zero: its process never ran
    bool restored = false;
  };
  struct Strike {
    std::uint32_t attempt = 0;
    Time at{};
    Duration notice{};          // zero: none
    std::uint64_t version = 0;  // committed by then
    bool mid_save = false;      // files of the checkpoint directory were being written
  };
  JobId id;
  engine::JobPhase phase = engine::JobPhase::queued;
  std::optional<std::int32_t> exit_code;
  std::string reason;
  std::string last_lines;  // of its log
  Time ended{};
  std::vector<Time> commits;  // when they were reported
  std::vector<Attempt> attempts;
  std::vector<Strike> strikes;
  std::vector<api::MetricSeriesView> metrics;
  std::vector<api::OutputView> outputs;
  api::LedgerView ledger;
  std::uint64_t last_version = 0;

  bool succeeded() const { return phase == engine::JobPhase::succeeded; }
  // When the job's process ran first.
  Time running() const { return attempts.empty() ? Time{} : attempts.front().running; }
  Duration length() const { return ended - running(); }
};

// Where something is not as it was.
struct Difference {
  std::string what;  // "metric loss", "output model.pt"
  std::string
      detail;  // "differs first at point 12 of 40: 0.25 rather than 0.26 (4 % off); at the end 1 % off"
  bool operator==(const Difference&) const = default;
};

struct Judgement {
  Verdict verdict = Verdict::exact;
  std::vector<Difference> differences;
  std::string note;                  // why, in a sentence; empty: nothing to add
  std::optional<double> resumed_at;  // part of the work that was done before the last attempt
};

}  // namespace buoy::cli
