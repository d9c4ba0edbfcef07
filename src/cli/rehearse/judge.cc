#include "cli/rehearse/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <span>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::cli {
namespace {

// Fewer points than this say nothing about where an attempt began.
constexpr std::size_t kEnoughPoints = 3;

using Points = std::vector<double>;

bool same(double a, double b, double tolerance) {
  if (std::memcmp(&a, &b, sizeof a) == 0 || a == b) return true;
  if (std::isnan(a) && std::isnan(b)) return true;
  return tolerance > 0 && std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

std::string shown(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

// "3.1 %", "2e-7": how far `b` is from `a`.
std::string off(double a, double b) {
  const double scale = std::max(std::abs(a), std::abs(b));
  const double part = scale == 0 ? 0 : std::abs(a - b) / scale;
  char text[32];
  std::snprintf(text, sizeof text, part >= 1e-3 ? "%.2g %%" : "%.1e", part >= 1e-3 ? part * 100 : part);
  return text;
}

// The points of each attempt, in order.
std::vector<Points> byAttempt(const api::MetricSeriesView& series) {
  std::map<std::uint32_t, Points> attempts;
  for (const auto& point : series.points) attempts[point.attempt].push_back(point.value);
  std::vector<Points> result;
  for (auto& [shown, points] : attempts) result.push_back(std::move(points));
  return result;
}

struct Mismatch {
  std::size_t at = 0;  // of the reference's points
  double wanted = 0, found = 0;
};

// The first point of `part`, laid at `begin`, that is not the reference's.
std::optional<Mismatch> firstMismatch(const Points& reference, std::span<const double> part,
                                      std::size_t begin, double tolerance) {
  for (std::size_t i = 0; i < part.size() && begin + i < reference.size(); ++i) {
    if (!same(reference[begin + i], part[i], tolerance))
      return Mismatch{begin + i, reference[begin + i], part[i]};
  }
  return std::nullopt;
}

// Where in the reference, up to `before`, the part fits; the latest such place. Without any: `before`.
std::size_t bestBegin(const Points& reference, const Points& part, std::size_t before, double tolerance) {
  for (std::size_t begin = before + 1; begin-- > 0;) {
    if (begin + part.size() <= reference.size() && !firstMismatch(reference, part, begin, tolerance))
      return begin;
  }
  return before;
}

std::string tellMismatch(const Points& reference, const Points& last, const Mismatch& first) {
  std::string text = strCat({"differs first at point ", std::to_string(first.at + 1), " of ",
                             std::to_string(reference.size()), ": ", shown(first.found), " rather than ",
                             shown(first.wanted), " (", off(first.wanted, first.found), " off)"});
  if (last.empty() || first.at + 1 == reference.size()) return text;
  const bool ends_equal = same(reference.back(), last.back(), 0);
  return text + (ends_equal
                     ? "; the last is the same"
                     : strCat({"; the last is ", shown(last.back()), " rather than ", shown(reference.back()),
                               " (", off(reference.back(), last.back()), " off)"}));
}

}  // namespace

Alignment align(const api::MetricSeriesView& reference_series, const api::MetricSeriesView& run,
                double tolerance) {
  Points reference;
  for (const auto& point : reference_series.points) reference.push_back(point.value);
  const std::vector<Points> attempts = byAttempt(run);
  Alignment result;
  const auto differs = [&](std::string detail) {
    if (!result.difference) result.difference = Difference{"metric " + run.name, std::move(detail)};
  };
  if (attempts.empty()) {
    if (!reference.empty()) differs("has no points");
    return result;
  }
  const Points& last = attempts.back();
  std::size_t before = 0;  // how far the attempts before have come
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const Points& part = attempts[i];
    std::size_t begin = 0;
    if (i + 1 == attempts.size() && attempts.size() > 1) {
      if (part.size() > reference.size()) {
        differs(strCat({"has ", std::to_string(part.size()), " points in the last attempt rather than ",
                        std::to_string(reference.size()), " in all"}));
        result.resumed_at = 0;
        break;
      }
      begin = reference.size() - part.size();
      if (reference.size() >= kEnoughPoints && before > 0)
        result.resumed_at = static_cast<double>(begin) / static_cast<double>(reference.size());
      if (begin > before) {
        differs(strCat({"has no points ", std::to_string(before + 1), " to ", std::to_string(begin), " of ",
                        std::to_string(reference.size())}));
      }
    } else if (i > 0) {
      begin = bestBegin(reference, part, std::min(before, reference.size()), tolerance);
    } else if (attempts.size() == 1 && part.size() != reference.size()) {
      differs(strCat(
          {"has ", std::to_string(part.size()), " points rather than ", std::to_string(reference.size())}));
    }
    if (const auto first = firstMismatch(reference, part, begin, tolerance))
      differs(tellMismatch(reference, last, *first));
    before = std::max(before, begin + part.size());
  }
  return result;
}

std::vector<api::MetricSeriesView> byRank(std::span<const api::MetricSeriesView> by_machine,
                                          const Ranks& ranks) {
  std::map<std::string, std::map<std::size_t, api::MetricSeriesView>> metrics;
  for (const api::MetricSeriesView& series : by_machine) {
    const std::size_t at = series.name.rfind('@');
    const auto machine = at == std::string::npos
                             ? std::nullopt
                             : MachineId::parse(std::string_view(series.name).substr(at + 1));
    auto& by_rank = metrics[series.name.substr(0, at)];
    for (const auto& point : series.points) {
      const auto rank = machine ? ranks.find({point.attempt, *machine}) : ranks.end();
      by_rank[rank == ranks.end() ? 0 : rank->second].points.push_back(point);
    }
  }
  std::vector<api::MetricSeriesView> result;
  for (auto& [name, by_rank] : metrics) {
    for (auto& [rank, series] : by_rank) {
      series.name = by_rank.size() == 1 ? name : strCat({name, " of rank ", std::to_string(rank)});
      std::stable_sort(series.points.begin(), series.points.end(),
                       [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
      result.push_back(std::move(series));
    }
  }
  return result;
}

namespace {

const api::MetricSeriesView* seriesOf(const RehearsedRun& run, const std::string& name) {
  const auto found = std::find_if(run.metrics.begin(), run.metrics.end(),
                                  [&](const api::MetricSeriesView& each) { return each.name == name; });
  return found == run.metrics.end() ? nullptr : &*found;
}

struct MetricFindings {
  std::vector<Difference> differences;
  std::optional<double> resumed_at;  // the latest that any series says
};

MetricFindings compareMetrics(const RehearsedRun& reference, const RehearsedRun& run,
                              const JudgeOptions& options) {
  MetricFindings findings;
  for (const api::MetricSeriesView& wanted : reference.metrics) {
    const api::MetricSeriesView* found = seriesOf(run, wanted.name);
    api::MetricSeriesView empty;
    empty.name = wanted.name;
    Alignment alignment = align(wanted, found == nullptr ? empty : *found, options.tolerance);
    // Where it began is a matter of counts: that of a metric whose values are left out still tells.
    if (alignment.resumed_at)
      findings.resumed_at = std::max(findings.resumed_at.value_or(0), *alignment.resumed_at);
    const bool ignored =
        std::find(options.ignore.begin(), options.ignore.end(), wanted.name) != options.ignore.end();
    if (alignment.difference && !ignored) findings.differences.push_back(std::move(*alignment.difference));
  }
  return findings;
}

// How much of the work was done at the last commit that the last strike found, as a part of the whole.
double savedAt(const RehearsedRun& reference, const RehearsedRun& run) {
  if (run.strikes.empty() || reference.length() <= Duration{}) return 0;
  double saved = 0;
  for (const Time commit : run.commits) {
    if (commit > run.strikes.front().at) break;
    saved = static_cast<double>((commit - run.running()).count()) /
            static_cast<double>(reference.length().count());
  }
  return std::clamp(saved, 0.0, 1.0);
}

// Why the last attempt began from nothing; empty: it did not.
std::string whyFromZero(const RehearsedRun& reference, const RehearsedRun& run,
                        const std::optional<double>& resumed_at) {
  if (run.attempts.size() < 2) return {};
  const RehearsedRun::Attempt& last = run.attempts.back();
  if (!last.restored) {
    return reference.last_version == 0
               ? "nothing is ever saved: nothing is written to the checkpoint directory, or the job has none"
               : "nothing had been saved when it was struck";
  }
  if (resumed_at)
    return *resumed_at == 0 ? "it had its checkpoint, and began at the beginning all the same" : "";
  // Without metrics only the clock tells: an attempt that takes as long as everything has done everything.
  const double saved = savedAt(reference, run);
  const double took = static_cast<double>((run.ended - last.running).count()) /
                      static_cast<double>(std::max<Duration::rep>(reference.length().count(), 1));
  const bool all_again = saved > 0.1 && took > 1 - saved / 2;
  return all_again ? "it had its checkpoint, and took as long as from the beginning" : "";
}

}  // namespace

Judgement judge(const RehearsedRun& reference, const RehearsedRun& run, std::vector<Difference> outputs,
                const JudgeOptions& options) {
  Judgement judgement;
  if (!run.succeeded()) {
    judgement.verdict = Verdict::fails;
    judgement.note = run.reason;
    return judgement;
  }
  if (run.strikes.empty() || run.attempts.size() < 2) {
    judgement.verdict = Verdict::inconclusive;
    judgement.note = run.strikes.empty() ? "the job ended before its machine could be taken"
                                         : "the job ended before it had to go on elsewhere";
    return judgement;
  }
  MetricFindings metrics = compareMetrics(reference, run, options);
  judgement.resumed_at = metrics.resumed_at;
  judgement.differences = std::move(metrics.differences);
  std::move(outputs.begin(), outputs.end(), std::back_inserter(judgement.differences));
  judgement.note = whyFromZero(reference, run, judgement.resumed_at);
  if (!judgement.note.empty()) {
    judgement.verdict = Verdict::restarts;
    judgement.resumed_at = 0;
  } else if (!judgement.differences.empty()) {
    judgement.verdict = Verdict::drifts;
  }
  return judgement;
}

std::vector<std::string> unrepeatableMetrics(const RehearsedRun& first, const RehearsedRun& second,
                                             double tolerance) {
  std::vector<std::string> names;
  for (const api::MetricSeriesView& series : first.metrics) {
    const api::MetricSeriesView* other = seriesOf(second, series.name);
    if (other == nullptr || align(series, *other, tolerance).difference) names.push_back(series.name);
  }
  return names;
}

namespace {

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  constexpr std::string_view kBetween = " \t\r\n,;:[](){}=\"'";
  for (std::size_t at = 0; (at = text.find_first_not_of(kBetween, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kBetween, at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end;
  }
  return found;
}

}  // namespace

std::optional<std::string> compareTexts(std::string_view reference, std::string_view run, double tolerance) {
  const auto wanted = words(reference);
  const auto found = words(run);
  for (std::size_t i = 0; i < std::min(wanted.size(), found.size()); ++i) {
    if (wanted[i] == found[i]) continue;
    const auto a = parseNumber<double>(wanted[i]), b = parseNumber<double>(found[i]);
    if (a && b && same(*a, *b, tolerance)) continue;
    return strCat({"differs first at word ", std::to_string(i + 1), ": ", inQuotes(found[i]), " rather than ",
                   inQuotes(wanted[i]), a && b ? " (" + off(*a, *b) + " off)" : std::string()});
  }
  if (wanted.size() == found.size()) return std::nullopt;
  return strCat({"has ", std::to_string(found.size()), " words rather than ", std::to_string(wanted.size())});
}

}  // namespace buoy::cli
