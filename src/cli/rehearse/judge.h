#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/rehearse/result.h"

// Whether a run that was interrupted did what an undisturbed one does. Pure.
namespace buoy::cli {

// A run's series beside the reference's. Points have no number of their own, so they are laid side by side by
// order: those of the first attempt begin where the reference begins, those of the last end where it ends,
// and those of an attempt between begin where they fit best.
struct Alignment {
  std::optional<double> resumed_at;  // where the last attempt begins, as a part of the reference's points
  std::optional<Difference> difference;
};
// `tolerance`: relative; 0: every bit counts.
Alignment align(const api::MetricSeriesView& reference, const api::MetricSeriesView& run, double tolerance);

// In a gang every rank may print the same metric, in any order of one another. `by_machine`: one series a
// machine, "loss@m3". Made of them is one a rank, "loss of rank 1"; a metric that a single rank prints is
// just "loss". `ranks`: by attempt and machine.
using Ranks = std::map<std::pair<std::uint32_t, MachineId>, std::size_t>;
std::vector<api::MetricSeriesView> byRank(std::span<const api::MetricSeriesView> by_machine,
                                          const Ranks& ranks);

struct JudgeOptions {
  double tolerance = 0;
  std::vector<std::string> ignore;  // metrics that differ from run to run even undisturbed
};

// `outputs`: what the comparison of the files' contents found.
Judgement judge(const RehearsedRun& reference, const RehearsedRun& run, std::vector<Difference> outputs,
                const JudgeOptions& options);

// Metrics that two undisturbed runs do not share.
std::vector<std::string> unrepeatableMetrics(const RehearsedRun& first, const RehearsedRun& second,
                                             double tolerance);

// Two texts word for word: numbers may differ by `tolerance`, relative. nullopt: the same.
std::optional<std::string> compareTexts(std::string_view reference, std::string_view run, double tolerance);

}  // namespace buoy::cli
