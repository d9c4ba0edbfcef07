#include "cli/rehearse/report.h"

#include <cmath>
#include <cstdio>

#include "api/json_writer.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/render/plot.h"
#include "cli/render/table.h"

namespace buoy::cli {
namespace {

constexpr std::size_t kShownDifferences = 5;

std::string ratePerHour(double per_hour) {
  char text[24];
  std::snprintf(text, sizeof text, "%.2g", per_hour);
  return text;
}

double inSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Where the strikes came, as parts of the undisturbed run.
std::string strikesOf(const RehearsedRun& reference, const RehearsedRun& run) {
  std::string text;
  for (const RehearsedRun::Strike& strike : run.strikes) {
    const double at = inSeconds(strike.at - run.running()) / std::max(inSeconds(reference.length()), 1e-6);
    text += (text.empty() ? "" : ", ") + formatPercent(at) + (strike.mid_save ? " (saving)" : "");
  }
  return text;
}

std::string table(const Look& look, const RehearsalOutcome& outcome) {
  Table table;
  table.columns = {{"reclaim"},
                   {"verdict"},
                   {"struck at", Align::right},
                   {"went on from", Align::right},
                   {"redone", Align::right},
                   {"restart", Align::right}};
  for (const ScenarioRun& each : outcome.runs) {
    const api::LedgerView& ledger = each.run.ledger;
    const Duration restart = ledger.timeOf(engine::Use::saving) + ledger.timeOf(engine::Use::restoring) +
                             ledger.timeOf(engine::Use::starting) + ledger.timeOf(engine::Use::waiting);
    const auto from = each.judgement.resumed_at;
    table.rows.push_back(
        {std::string(describe(each.scenario)),
         Cell(std::string(toString(each.judgement.verdict)), colorOf(each.judgement.verdict)),
         strikesOf(outcome.reference, each.run), from ? formatPercent(*from) : std::string(),
         formatDuration(ledger.timeOf(engine::Use::redone)), formatDuration(restart)});
  }
  return renderTable(look, table);
}

std::string differences(const Look& look, const RehearsalOutcome& outcome) {
  std::string text;
  for (const ScenarioRun& each : outcome.runs) {
    const auto& found = each.judgement.differences;
    const auto say = [&](const std::string& what) {
      text += wrap(strCat({"  ", describe(each.scenario), ": ", cleaned(what)}), look.width, "    ") + "\n";
    };
    if (!each.judgement.note.empty()) say(each.judgement.note);
    for (std::size_t i = 0; i < std::min(found.size(), kShownDifferences); ++i)
      say(found[i].what + " " + found[i].detail);
    if (found.size() > kShownDifferences) say(counted(found.size() - kShownDifferences, "other difference"));
    if (each.judgement.verdict == Verdict::fails && !each.run.last_lines.empty()) {
      text += strCat({"  ", describe(each.scenario), ", its last lines:\n"});
      for (const std::string_view line : split(trim(each.run.last_lines), '\n'))
        text += "    " + paint(look, Color::dim, cleaned(line)) + "\n";
    }
  }
  return text.empty() ? text : "\n" + text;
}

std::string costLine(const Look& look, const RehearsalReport& report) {
  const RehearsalCost& cost = report.cost;
  std::string text = strCat(
      {"Where machines are taken ", ratePerHour(cost.reclaims_per_hour), " times an hour (",
       report.hazard_source, "), ", formatPercent(cost.unnoticed), " of them without notice, ",
       "this job would lose ",
       formatDuration(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(cost.lost_seconds))),
       " of machine time an hour"});
  if (cost.price.nano_usd > 0)
    text +=
        strCat({": ", formatMoney(cost.extra), " an hour on top of ", formatMoney({cost.price.nano_usd})});
  text += strCat({" (", formatDuration(cost.lost_noticed), " a reclaim with notice, ",
                  formatDuration(cost.lost_unnoticed),
                  " without; what a machine takes to boot elsewhere comes on top)"});
  return "\n" + wrap(text, look.width, "") + "\n";
}

void writeRun(api::JsonWriter& writer, const RehearsedRun& run) {
  writer.field("phase", engine::toString(run.phase)).key("exit_code");
  run.exit_code ? writer.value(*run.exit_code) : writer.null();
  writer.field("seconds", run.length())
      .field("attempts", run.attempts.size())
      .field("saves", run.commits.size());
  writer.key("lost").beginObject();
  for (const engine::Use use : {engine::Use::redone, engine::Use::saving, engine::Use::restoring,
                                engine::Use::starting, engine::Use::waiting}) {
    writer.field(engine::toString(use), run.ledger.timeOf(use));
  }
  writer.endObject();
}

void writeScenario(api::JsonWriter& writer, const ScenarioRun& each) {
  writer.beginObject().field("scenario", toString(each.scenario));
  writer.field("verdict", toString(each.judgement.verdict)).field("note", each.judgement.note);
  writer.key("resumed_at");
  each.judgement.resumed_at ? writer.value(*each.judgement.resumed_at) : writer.null();
  writer.key("differences").beginArray();
  for (const Difference& difference : each.judgement.differences)
    writer.beginObject().field("what", difference.what).field("detail", difference.detail).endObject();
  writer.endArray().key("strikes").beginArray();
  for (const RehearsedRun::Strike& strike : each.run.strikes) {
    writer.beginObject().field("attempt", strike.attempt).field("after", strike.at - each.run.running());
    writer.field("notice", strike.notice).field("version", strike.version).field("mid_save", strike.mid_save);
    writer.endObject();
  }
  writer.endArray();
  writeRun(writer, each.run);
  writer.field("last_lines", each.run.last_lines).endObject();
}

}  // namespace

Color colorOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::exact:
      return Color::green;
    case Verdict::inconclusive:
    case Verdict::unrepeatable:
    case Verdict::drifts:
      return Color::yellow;
    case Verdict::restarts:
    case Verdict::fails:
      return Color::red;
  }
  return Color::plain;
}

std::string renderRehearsal(const Look& look, const RehearsalReport& report) {
  const RehearsalOutcome& outcome = report.outcome;
  std::string text =
      strCat({cleaned(report.name), ": undisturbed ", formatDuration(outcome.reference.length()), ", ",
              counted(outcome.reference.commits.size(), "save"),
              "; compared: ", counted(outcome.reference.outputs.size(), "output"), ", ",
              counted(outcome.reference.metrics.size(), "metric"), "\n\n"});
  text += table(look, outcome) + differences(look, outcome);
  if (!outcome.ignored.empty())
    text += "\n" +
            wrap("Not compared, because they differ from run to run even undisturbed: " +
                     cleaned(join(outcome.ignored, ", ")),
                 look.width, "  ") +
            "\n";
  if (!outcome.runs.empty()) text += costLine(look, report);
  if (outcome.cut_short)
    text += "\n" + paint(look, Color::yellow, "cut short: ") + outcome.cut_short->message + "\n";
  const Verdict verdict = outcome.verdict();
  return text + "\n" + paint(look, colorOf(verdict), std::string(toString(verdict))) + "\n";
}

std::string toJson(const RehearsalReport& report) {
  const RehearsalOutcome& outcome = report.outcome;
  std::string text;
  api::JsonWriter writer(text);
  writer.beginObject().field("name", report.name).field("verdict", toString(outcome.verdict()));
  writer.field("exit_code", exitCodeOf(outcome.verdict()));
  writer.key("cut_short");
  outcome.cut_short ? writer.value(outcome.cut_short->message) : writer.null();
  writer.key("reference").beginObject();
  writeRun(writer, outcome.reference);
  writer.endObject().key("scenarios").beginArray();
  for (const ScenarioRun& each : outcome.runs) writeScenario(writer, each);
  writer.endArray().key("not_compared").beginArray();
  for (const std::string& each : outcome.ignored) writer.value(each);
  const RehearsalCost& cost = report.cost;
  writer.endArray().key("cost").beginObject();
  writer.field("reclaims_per_hour", cost.reclaims_per_hour).field("unnoticed", cost.unnoticed);
  writer.field("hazard_source", report.hazard_source);
  writer.field("lost_noticed", cost.lost_noticed).field("lost_unnoticed", cost.lost_unnoticed);
  writer.field("lost_seconds_per_hour", cost.lost_seconds).field("price", cost.price);
  writer.field("extra_per_hour", cost.extra).endObject().endObject();
  return text;
}

}  // namespace buoy::cli
