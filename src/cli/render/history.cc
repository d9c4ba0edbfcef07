#include "cli/render/history.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/strings.h"
#include "cli/render/plot.h"
#include "cli/render/table.h"
#include "cli/render/times.h"

namespace buoy::cli {
namespace {

enum class Weight : std::uint8_t { detail, plain, good, warning, loss };

// Kinds that are not here (a newer server's, an agent's own sentences) are plain.
Weight weightOf(std::string_view kind) {
  struct Entry {
    std::string_view kind;
    Weight weight;
  };
  static constexpr std::array<Entry, 32> kWeights{{{"submitted", Weight::detail},
                                                   {"attempt_started", Weight::detail},
                                                   {"machine_up", Weight::detail},
                                                   {"committed", Weight::detail},
                                                   {"released", Weight::detail},
                                                   {"gone", Weight::detail},
                                                   {"running", Weight::detail},
                                                   {"finished", Weight::detail},
                                                   {"reclaim_requested", Weight::detail},
                                                   {"save_requested", Weight::detail},
                                                   {"saved", Weight::detail},
                                                   {"agent", Weight::detail},
                                                   {"restored", Weight::good},
                                                   {"reachable", Weight::good},
                                                   {"notice", Weight::warning},
                                                   {"warning", Weight::warning},
                                                   {"unreachable", Weight::warning},
                                                   {"verifying", Weight::warning},
                                                   {"moving", Weight::detail},
                                                   {"resumed", Weight::good},
                                                   {"pausing", Weight::warning},
                                                   {"paused", Weight::warning},
                                                   {"steered", Weight::plain},
                                                   {"retry", Weight::warning},
                                                   {"begins_again", Weight::warning},
                                                   {"stopping", Weight::warning},
                                                   {"launch_failed", Weight::warning},
                                                   {"pool_backoff", Weight::warning},
                                                   {"dissolved", Weight::warning},
                                                   {"lost", Weight::loss},
                                                   {"unfit", Weight::loss},
                                                   {"forced_end", Weight::loss}}};
  const auto found = std::find_if(kWeights.begin(), kWeights.end(),
                                  [kind](const Entry& entry) { return entry.kind == kind; });
  return found == kWeights.end() ? Weight::plain : found->weight;
}

std::string_view signOf(const Look& look, Weight weight) {
  switch (weight) {
    case Weight::detail:
      return look.unicode ? "·" : "-";
    case Weight::plain:
      return look.unicode ? "▸" : ">";
    case Weight::good:
      return look.unicode ? "✓" : "+";
    case Weight::warning:
      return look.unicode ? "▲" : "!";
    case Weight::loss:
      return look.unicode ? "✗" : "x";
  }
  return "";
}

Color colorFor(Weight weight) {
  switch (weight) {
    case Weight::detail:
    case Weight::plain:
      return Color::dim;
    case Weight::good:
      return Color::green;
    case Weight::warning:
      return Color::yellow;
    case Weight::loss:
      return Color::red;
  }
  return Color::plain;
}

// ", by a plan that learned from p until 2026-11-21T…"
std::string planText(const engine::SpotQuestion& known) {
  if (!known.plan) return "";
  std::string learned;
  for (const engine::SpotSource& source : known.plan->learned) {
    if (source.until == Time{} && source.recorded.empty()) continue;
    learned += strCat({learned.empty() ? ", which learned from " : ", ", cleaned(source.pool)});
    if (source.until != Time{}) learned += " until " + localTime(source.until);
    if (!source.recorded.empty())
      learned += " and " + std::to_string(source.recorded.size()) + " recorded markets";
  }
  return ", by a plan for " + formatDuration(known.plan->time) + learned;
}

std::string holdingText(const engine::SpotQuestion& known) {
  std::string text;
  switch (known.holding) {
    case engine::Holding::nothing:
      return "nothing";
    case engine::Holding::spot:
      text = known.held < known.places.size() ? "spot in " + cleaned(known.places[known.held].pool) : "spot";
      break;
    case engine::Holding::on_demand:
      text = "on-demand";
      break;
  }
  if (known.changeover_left > Duration{})
    text += ", which works in " + formatDuration(known.changeover_left) + " at most";
  return text;
}

}  // namespace

std::string formatHourly(PricePerHour price) {
  return formatMoney(Money{price.nano_usd}) + "/h";
}

std::string renderRecord(const Look& look, const api::RecordView& view, Telling telling,
                         std::string_view time) {
  const Weight weight = weightOf(view.record.kind);
  if (telling == Telling::brief && weight == Weight::detail) return {};
  const std::string told = withLocalTimes(cleaned(view.record.detail), view.record.at);
  const std::string text = strCat({signOf(look, weight), " ", time, "  ", told});
  return paint(look, colorFor(weight), text) + "\n";
}

std::string renderKnown(const Look& look, const api::RecordView& view) {
  if (!view.record.decision) return {};
  const engine::Record::Decision& decision = *view.record.decision;
  std::string text;
  const auto line = [&](const std::string& content) {
    text += "           " + paint(look, Color::dim, content) + "\n";
  };
  std::string wanted =
      strCat({"wanted: ", std::to_string(decision.count), decision.count == 1 ? " machine" : " machines",
              ", spot: ", engine::toString(decision.spot)});
  line(wanted);
  for (const auto& seen : decision.pools) {
    const engine::Pool& pool = *seen.pool;
    std::string known = "known: " + cleaned(pool.name) + ": ";
    known +=
        pool.max_machines > 0
            ? strCat({std::to_string(seen.free), " of ", std::to_string(pool.max_machines), " places free"})
            : "no limit of machines";
    const auto add = [&](bool holds, const std::string& what) {
      if (holds) known += ", " + what;
    };
    add(seen.idle_spot > 0, std::to_string(seen.idle_spot) + " idle on spot");
    add(seen.idle_on_demand > 0, std::to_string(seen.idle_on_demand) + " idle on demand");
    add(pool.paused, "paused");
    add(pool.consecutive_failures > 0, std::to_string(pool.consecutive_failures) +
                                           " launches failed, again at " +
                                           timeBeside(pool.retry_at, view.record.at));
    add(pool.spot_failures > 0, std::to_string(pool.spot_failures) + " spot launches failed, again at " +
                                    timeBeside(pool.spot_retry_at, view.record.at));
    add(seen.trial_spot || seen.trial_on_demand, "a launch is being tried");
    line(known);
  }
  return text;
}

std::string renderSteered(const Look& look, const engine::Record::Steered& steered) {
  const engine::SpotQuestion& known = steered.question;
  std::string text;
  const auto line = [&](const std::string& content) {
    text += "           " + paint(look, Color::dim, content) + "\n";
  };
  std::string work = "known: " + formatDuration(known.work_left + known.unsaved) + " of " +
                     formatDuration(known.work_total) + " of work left";
  if (known.unsaved > Duration{})
    work += ", counting " + formatDuration(known.unsaved) + " that are not saved";
  if (known.begins_again) work += "; it keeps no checkpoint, so a loss takes all that is done";
  line(work);
  line("known: " +
       (known.time_left > Duration{} ? formatDuration(known.time_left) + " until the deadline"
                                     : "the deadline has passed") +
       ", a changeover takes up to " + formatDuration(known.changeover));
  line("known: on-demand " + formatHourly(known.on_demand_price) + ", holding " + holdingText(known));
  for (const engine::SpotQuestion::Place& place : known.places) {
    std::string what = "known: spot in " + cleaned(place.pool) + " " + formatHourly(place.price);
    if (!place.past.empty()) {
      const engine::AvailabilitySpan& now = place.past.back();
      what += (now.up ? ", to be had for " : ", not to be had for ") + formatDuration(now.length);
    }
    if (place.move_cost > Money{}) what += ", restoring there costs " + formatMoney(place.move_cost);
    line(what);
  }
  line(strCat({"policy: ", toString(known.rule), planText(known)}));
  return text;
}

std::string renderCandidates(const Look& look, const api::RecordView& view) {
  if (view.record.candidates.empty()) return {};
  Table table{{{"POOL"},
               {"TYPE"},
               {"MARKET"},
               {"PRICE", Align::right},
               {"SCORE", Align::right},
               {"", Align::left, true}},
              {}};
  // Only what was placed was chosen: the first that is possible.
  bool chosen = view.record.kind != "placed" && view.record.kind != "opened";
  for (const engine::Record::Candidate& candidate : view.record.candidates) {
    const bool possible = candidate.rejected.empty();
    const std::string verdict = !possible ? cleaned(candidate.rejected) : chosen ? "possible" : "chosen";
    const Color color = !possible ? Color::dim : chosen ? Color::plain : Color::green;
    if (possible) chosen = true;
    table.rows.push_back({Cell(cleaned(candidate.pool), color), Cell(cleaned(candidate.type), color),
                          Cell(std::string(engine::toString(candidate.market)), color),
                          Cell(formatHourly(candidate.price), color),
                          Cell(possible ? formatNumber(candidate.score) : "", color), Cell(verdict, color)});
  }
  Look narrower = look;
  if (narrower.width > 0) narrower.width -= 11;
  std::string result;
  const std::string lines = renderTable(narrower, table);
  for (const std::string_view line : split(lines, '\n')) {
    if (!line.empty()) result += strCat({"           ", line, "\n"});
  }
  return result;
}

}  // namespace buoy::cli
