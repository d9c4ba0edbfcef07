#include "cli/render/summary.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "cli/render/ledger.h"
#include "cli/render/plot.h"
#include "cli/render/timeline.h"

namespace buoy::cli {
namespace {

constexpr std::size_t kMostPlots = 4;

double secondsBetween(Time begin, Time end) {
  return static_cast<double>((end - begin).count()) / 1e6;
}

std::string heading(const Look& look, std::string_view text) {
  return "\n" + paint(look, Color::bold, text) + "\n\n";
}

// Machine → how it was taken from the job; the others ended in peace or are still there.
std::map<MachineId, std::string> endingsOf(const std::vector<api::RecordView>& records) {
  std::map<MachineId, std::string> endings;
  for (const api::RecordView& view : records) {
    const engine::Record& record = view.record;
    if (record.kind == "notice") {
      endings[record.machine] = "reclaimed, with notice";
    } else if (record.kind == "lost") {
      const bool reclaimed = record.detail.find("reclaimed") != std::string::npos;
      endings.emplace(record.machine, reclaimed ? "reclaimed, no notice" : "lost");
    } else if (record.kind == "unfit") {
      endings[record.machine] = "unfit";
    }
  }
  return endings;
}

bool runsOn(const JobStory& story, const api::MemberView& member) {
  return story.looked != Time{} && !engine::isTerminal(story.job.phase) &&
         member.phase == engine::MemberPhase::running;
}

// Until when the ledger knows what a member's machine did.
Time settledUntil(const JobStory& story, const api::MemberView& member) {
  Time until = member.since;
  for (const api::SpanView& span : story.job.spans)
    if (span.machine == member.machine) until = std::max(until, span.end);
  return until;
}

// "  since then 6.9s not saved yet …": what a loss would take, and no ledger has yet; empty: nothing runs.
std::string unsettledLine(const Look& look, const JobStory& story) {
  Duration time{};
  for (const api::MemberView& member : story.job.members) {
    if (runsOn(story, member)) time += std::max(story.looked - settledUntil(story, member), Duration{});
  }
  if (time <= Duration{}) return "";
  return strCat({"  ", paint(look, Color::dim, "since then "), formatDuration(time),
                 " not saved yet, and in no line above\n"});
}

std::vector<TimelineRow> timelineRows(const JobStory& story) {
  std::vector<MachineId> order;
  std::map<MachineId, TimelineRow> rows;
  for (const api::SpanView& span : story.job.spans) {
    if (span.begin == span.end) continue;  // an amount, and no time
    const auto [row, is_new] = rows.try_emplace(span.machine);
    if (is_new) order.push_back(span.machine);
    row->second.pieces.push_back({span.begin, span.end, span.use});
  }
  // What goes on: the ledger has it when it is saved, or has ended.
  for (const api::MemberView& member : story.job.members) {
    if (!runsOn(story, member)) continue;
    const auto [row, is_new] = rows.try_emplace(member.machine);
    if (is_new) order.push_back(member.machine);
    const Time begin = settledUntil(story, member);
    if (begin < story.looked) row->second.pieces.push_back({begin, story.looked, engine::Use::useful});
  }
  std::erase_if(order, [&](MachineId machine) { return rows[machine].pieces.empty(); });
  const auto endings = endingsOf(story.records);
  std::vector<TimelineRow> result;
  for (const MachineId machine : order) {
    TimelineRow row = std::move(rows[machine]);
    row.label = machine.toString();
    std::sort(row.pieces.begin(), row.pieces.end(),
              [](const auto& a, const auto& b) { return a.begin < b.begin; });
    if (const auto ending = endings.find(machine); ending != endings.end()) row.ending = ending->second;
    result.push_back(std::move(row));
  }
  std::stable_sort(result.begin(), result.end(), [](const auto& a, const auto& b) {
    return a.pieces.front().begin < b.pieces.front().begin;
  });
  return result;
}

std::string plots(const Look& look, const JobStory& story) {
  std::vector<double> reclaims;
  for (const api::RecordView& view : story.records) {
    if (view.record.kind == "lost" || view.record.kind == "notice")
      reclaims.push_back(secondsBetween(story.job.submitted, view.record.at));
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(story.metrics.size(), kMostPlots); ++i) {
    Plot plot;
    plot.title = story.metrics[i].name;
    plot.marks = reclaims;
    plot.mark_name = "reclaim";
    for (const auto& point : story.metrics[i].points) {
      plot.points.push_back(
          {secondsBetween(story.job.submitted, point.at), point.value, static_cast<int>(point.attempt)});
    }
    std::stable_sort(plot.points.begin(), plot.points.end(),
                     [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
    if (const std::string drawn = renderPlot(look, plot); !drawn.empty()) text += "\n" + drawn;
  }
  if (story.metrics.size() > kMostPlots) {
    text += paint(look, Color::dim,
                  "  and " + std::to_string(story.metrics.size() - kMostPlots) +
                      " more metrics: --json has them all") +
            "\n";
  }
  return text;
}

// What the last attempt's machines warned of; what an earlier one did may have been mended since.
std::string warnings(const Look& look, const JobStory& story) {
  std::string text;
  for (const api::RecordView& record : story.records) {
    if (record.record.kind != "warning" || record.record.attempt != story.job.attempts) continue;
    text += paint(look, Color::yellow, look.unicode ? "▲ " : "! ") + cleaned(record.record.detail) + "\n";
  }
  return text;
}

std::string_view signOfPhase(const Look& look, engine::JobPhase phase) {
  if (phase == engine::JobPhase::succeeded) return look.unicode ? "✓ " : "";
  return engine::isTerminal(phase) && look.unicode ? "✗ " : "";
}

}  // namespace

Color colorOf(engine::JobPhase phase) {
  switch (phase) {
    case engine::JobPhase::queued:
      return Color::dim;
    case engine::JobPhase::starting:
      return Color::yellow;
    case engine::JobPhase::running:
      return Color::cyan;
    case engine::JobPhase::recovering:
    case engine::JobPhase::stopping:
    case engine::JobPhase::paused:
      return Color::yellow;
    case engine::JobPhase::succeeded:
      return Color::green;
    case engine::JobPhase::failed:
    case engine::JobPhase::timed_out:
      return Color::red;
    case engine::JobPhase::cancelled:
      return Color::magenta;
  }
  return Color::plain;
}

std::string renderHeadline(const Look& look, const api::JobView& job, Time now) {
  const bool ended = engine::isTerminal(job.phase);
  std::string phase(engine::toString(job.phase));
  std::replace(phase.begin(), phase.end(), '_', ' ');
  std::string text =
      strCat({signOfPhase(look, job.phase), job.id.toString(), " ", cleaned(job.request.name), " ", phase});
  std::string rest =
      (ended ? " after " : " for ") +
      formatDuration(ended ? job.phase_since - job.submitted : std::max(Duration{}, now - job.phase_since));
  if (ended && job.exit_code && *job.exit_code != 0)
    rest = " with exit code " + std::to_string(*job.exit_code) + rest;
  if (const std::uint32_t reclaims =
          job.ledger ? job.ledger->reclaims_noticed + job.ledger->reclaims_unnoticed : 0;
      reclaims > 0) {
    rest += ", " + std::to_string(reclaims) + (reclaims == 1 ? " reclaim survived" : " reclaims survived");
  }
  std::string line = paint(look, colorOf(job.phase), text) + rest + "\n";
  const bool says_more = !job.reason.empty() && job.reason != engine::toString(job.phase) &&
                         job.phase != engine::JobPhase::succeeded;
  if (says_more)
    line += "  " +
            paint(look, Color::dim, wrap(cleaned(job.reason), look.width > 0 ? look.width - 2 : 0, "  ")) +
            "\n";
  return line;
}

std::string renderStory(const Look& look, const JobStory& story) {
  std::string text = warnings(look, story) + plots(look, story);
  if (const std::string timeline = renderTimeline(look, timelineRows(story)); !timeline.empty()) {
    text += heading(look, "Timeline") + timeline;
  }
  if (story.job.ledger)
    text += heading(look, "Ledger") + renderLedger(look, *story.job.ledger) + unsettledLine(look, story);
  return text;
}

}  // namespace buoy::cli
