#include "cli/forecast/report.h"

#include <algorithm>
#include <cstdio>

#include "api/json_writer.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/render/histogram.h"
#include "cli/render/plot.h"
#include "cli/render/table.h"

namespace buoy::cli {
namespace {

std::string hoursText(double hours) {
  return formatDuration(Duration{static_cast<std::int64_t>(hours * 3.6e9)});
}

double hoursOf(Duration duration) {
  return std::chrono::duration<double, std::ratio<3600>>(duration).count();
}

std::string fixed(double value, int decimals) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

// Only a whole share is 100 %.
std::string shareText(double share) {
  if (share < 1 && share > 0.995) return fixed(std::min(share * 100, 99.9), 1) + " %";
  return formatPercent(share);
}

Cell shareCell(double share) {
  return Cell(shareText(share), share < 1 ? Color::red : Color::plain);
}

// Whole hours as people give them.
std::string timeText(Duration duration) {
  const auto whole = std::chrono::duration_cast<std::chrono::hours>(duration);
  return whole == duration ? std::to_string(whole.count()) + "h" : formatDuration(duration);
}

std::string headline(const Look& look, const ForecastReport& report) {
  std::string text = strCat({paint(look, Color::bold, cleaned(titleOf(report))), ", ",
                             counted(report.forecast.starts, "start"), "\n"});
  text += wrap("market: " + cleaned(report.market), look.width, "  ") + "\n";
  for (const std::string& line : report.assumptions) text += wrap(cleaned(line), look.width, "  ") + "\n";
  return text + "\n";
}

Cell nameCell(const PolicyForecast& each) {
  return Cell(each.policy, each.policy == "buoy" ? Color::green : Color::plain);
}

std::string costTable(const Look& look, const Forecast& forecast) {
  Table table{.columns = {{"policy"},
                          {"cost p50", Align::right},
                          {"p95", Align::right},
                          {"of on-demand", Align::right},
                          {"of optimum", Align::right},
                          {"in budget", Align::right}},
              .rows = {}};
  for (const PolicyForecast& each : forecast.policies) {
    const sim::Distribution& cost = each.outlook.cost;
    table.rows.push_back({nameCell(each), formatUsd(cost.quantile(0.5)), formatUsd(cost.quantile(0.95)),
                          formatPercent(each.of_on_demand), each.of_optimum ? fixed(*each.of_optimum, 2) : "",
                          each.within_budget ? shareCell(*each.within_budget) : Cell("")});
  }
  if (forecast.optimum) {
    table.rows.push_back({std::string(kOmniscient), formatUsd(forecast.optimum->quantile(0.5)),
                          formatUsd(forecast.optimum->quantile(0.95)),
                          formatPercent(forecast.optimum->mean() / forecast.on_demand), "1.00", ""});
  }
  return renderTable(look, table);
}

std::string runTable(const Look& look, const Forecast& forecast) {
  if (forecast.policies.empty()) return {};
  Table table{.columns = {{"policy"},
                          {"deadline met", Align::right},
                          {"finish p50", Align::right},
                          {"p95", Align::right},
                          {"reclaims", Align::right},
                          {"redone", Align::right}},
              .rows = {}};
  for (const PolicyForecast& each : forecast.policies) {
    const sim::Outlook& outlook = each.outlook;
    table.rows.push_back({nameCell(each), shareCell(outlook.met), hoursText(outlook.finish.quantile(0.5)),
                          hoursText(outlook.finish.quantile(0.95)), fixed(outlook.reclaims, 1),
                          hoursText(outlook.redone)});
  }
  return "\n" + renderTable(look, table);
}

struct Lane {
  std::string name;
  std::span<const double> costs;
};

std::vector<Lane> lanesOf(const Forecast& forecast) {
  std::vector<Lane> lanes;
  for (const PolicyForecast& each : forecast.policies)
    lanes.push_back({each.policy, each.outlook.cost.values()});
  if (forecast.optimum) lanes.push_back({std::string(kOmniscient), forecast.optimum->values()});
  return lanes;
}

std::string histograms(const Look& look, const Forecast& forecast) {
  const std::vector<Lane> lanes = lanesOf(forecast);
  if (lanes.empty()) return {};
  int names = 0;
  Bins bins{.low = lanes.front().costs.front(), .high = lanes.front().costs.back(), .count = 1};
  for (const Lane& lane : lanes) {
    names = std::max(names, displayWidth(lane.name));
    bins.low = std::min(bins.low, lane.costs.front());
    bins.high = std::max(bins.high, lane.costs.back());
  }
  const int width = std::clamp((look.width > 0 ? look.width : 80) - names - 4, 10, 72);
  bins.count = static_cast<std::size_t>(width);
  const std::string low = formatUsd(bins.low), high = formatUsd(bins.high);
  std::string text = strCat({"\n", pad("cost", names), "  ", low,
                             repeat(" ", width - displayWidth(low) - displayWidth(high)), high, "\n"});
  for (const Lane& lane : lanes) {
    const Color color = lane.name == "buoy"        ? Color::green
                        : lane.name == kOmniscient ? Color::dim
                                                   : Color::cyan;
    text += strCat(
        {pad(lane.name, names), "  ", paint(look, color, renderHistogram(look, bins, lane.costs)), "\n"});
  }
  return text;
}

void write(api::JsonWriter& writer, const sim::Distribution& distribution) {
  writer.beginObject()
      .field("mean", distribution.mean())
      .field("min", distribution.least())
      .field("p50", distribution.quantile(0.5))
      .field("p95", distribution.quantile(0.95))
      .field("max", distribution.most())
      .endObject();
}

}  // namespace

std::string formatUsd(double usd) {
  return formatMoney(Money{static_cast<std::int64_t>(usd * 1e9)});
}

std::string titleOf(const ForecastReport& report) {
  const sim::Window& window = report.window;
  std::string text = strCat({report.job.empty() ? "forecast" : report.job, ": ", timeText(window.work),
                             " of work within ", timeText(window.deadline)});
  if (window.machines > 1)
    text += strCat({" on ", counted(static_cast<std::uint64_t>(window.machines), "machine")});
  return text;
}

std::string renderForecast(const Look& look, const ForecastReport& report) {
  return headline(look, report) + costTable(look, report.forecast) + runTable(look, report.forecast) +
         histograms(look, report.forecast);
}

std::string toJson(const ForecastReport& report) {
  const Forecast& forecast = report.forecast;
  std::string text;
  api::JsonWriter writer(text);
  writer.beginObject().field("job", report.job).field("market", report.market);
  writer.key("assumptions").beginArray();
  for (const std::string& line : report.assumptions) writer.value(line);
  writer.endArray();
  writer.field("work_hours", hoursOf(report.window.work))
      .field("deadline_hours", hoursOf(report.window.deadline))
      .field("changeover_hours", hoursOf(report.window.changeover))
      .field("machines", report.window.machines)
      .field("starts", forecast.starts)
      .field("seed", report.seed)
      .field("on_demand_cost", forecast.on_demand);
  writer.key("optimum_cost");
  if (forecast.optimum) {
    write(writer, *forecast.optimum);
  } else {
    writer.null();
  }
  writer.key("policies").beginArray();
  for (const PolicyForecast& each : forecast.policies) {
    writer.beginObject().field("policy", each.policy).key("cost");
    write(writer, each.outlook.cost);
    writer.field("of_on_demand", each.of_on_demand).key("of_optimum");
    each.of_optimum ? writer.value(*each.of_optimum) : writer.null();
    writer.field("deadline_met", each.outlook.met).key("within_budget");
    each.within_budget ? writer.value(*each.within_budget) : writer.null();
    writer.key("finish_hours");
    write(writer, each.outlook.finish);
    writer.field("launches", each.outlook.launches)
        .field("reclaims", each.outlook.reclaims)
        .field("redone_hours", each.outlook.redone)
        .endObject();
  }
  writer.endArray().endObject();
  return text + "\n";
}

}  // namespace buoy::cli
