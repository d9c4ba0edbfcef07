// buoy market: what recorded spot markets were like.
#include <algorithm>
#include <memory>

#include "api/json_writer.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/render/plot.h"
#include "cli/render/progress.h"
#include "cli/render/table.h"
#include "cli/traces.h"
#include "sim/trace_statistics.h"

namespace buoy::cli {
namespace {

struct MarketFlags {
  std::vector<std::string> files;
  std::string machines = "1";
  bool json = false;
};

std::string percent(double share) {
  return formatNumber(static_cast<double>(static_cast<int>(share * 1000 + 0.5)) / 10) + "%";
}

// One column for a stretch of time: full where spot was up all the while.
std::string availability(const Look& look, const sim::Trace& trace, std::int32_t machines, int width) {
  const std::size_t ticks = trace.available.size();
  const std::size_t columns = std::min(ticks, static_cast<std::size_t>(width));
  std::string text;
  for (std::size_t column = 0; column < columns; ++column) {
    const std::size_t begin = column * ticks / columns, end = (column + 1) * ticks / columns;
    std::size_t up = 0;
    for (std::size_t tick = begin; tick < end; ++tick) up += trace.up(tick, machines) ? 1 : 0;
    const double share = static_cast<double>(up) / static_cast<double>(end - begin);
    const bool all = share > 0.95, none = share < 0.05;
    if (look.unicode) {
      static constexpr std::string_view kShades[] = {"░", "▒", "▓"};
      text += all ? "█" : none ? " " : kShades[static_cast<std::size_t>(share * 2.999)];
    } else {
      text += all ? "#" : none ? "." : share < 0.5 ? "-" : "+";
    }
  }
  return text;
}

std::string pricesOf(const Look& look, const sim::Trace& trace, int width) {
  std::vector<double> prices;
  for (const PricePerHour price : trace.prices) prices.push_back(static_cast<double>(price.nano_usd) / 1e9);
  return sparkline(look, prices, width);
}

std::string usdPerHour(PricePerHour price) {
  return formatMoney(Money{price.nano_usd});
}

std::string drawing(const Look& look, const sim::Trace& trace, const sim::TraceStatistics& statistics,
                    std::int32_t machines) {
  const int width = std::clamp((look.width > 0 ? look.width : 80) - 12, 10, 100);
  const Duration whole = trace.gap * static_cast<std::int64_t>(trace.available.size());
  std::string text = strCat({paint(look, Color::bold, cleaned(trace.place())), "  ", formatDuration(whole),
                             " in ticks of ", formatDuration(trace.gap), "\n"});
  text += strCat({"  up      ", paint(look, Color::green, availability(look, trace, machines, width)), "\n"});
  if (const std::string prices = pricesOf(look, trace, width); !prices.empty())
    text += strCat({"  price   ", paint(look, Color::cyan, prices), "\n"});
  text += strCat({"  ", percent(statistics.up_share), " up, ", counted(statistics.reclaims, "reclaim"),
                  ", mean up-time ", formatDuration(statistics.mean_up), ", mean down-time ",
                  formatDuration(statistics.mean_down)});
  if (statistics.most.nano_usd > 0)
    text += strCat({", price ", usdPerHour(statistics.least), " to ", usdPerHour(statistics.most)});
  return text + "\n";
}

// Of all traces together: a single one has too few reclaims in most rows.
std::string hazardTable(const Look& look, std::span<const sim::TraceStatistics> all) {
  Table table{.columns = {{"age of the up-time"},
                          {"hours seen", Align::right},
                          {"reclaims", Align::right},
                          {"an hour", Align::right}},
              .rows = {}};
  for (std::size_t i = 0; i < all.front().by_age.size(); ++i) {
    sim::TraceStatistics::AgeHazard sum = all.front().by_age[i];
    for (std::size_t other = 1; other < all.size(); ++other) {
      sum.hours += all[other].by_age[i].hours;
      sum.reclaims += all[other].by_age[i].reclaims;
    }
    table.rows.push_back({"from " + formatDuration(sum.from), formatNumber(sum.hours),
                          std::to_string(sum.reclaims), formatNumber(sum.perHour())});
  }
  return renderTable(look, table);
}

std::string jsonOf(const sim::Trace& trace, const sim::TraceStatistics& statistics) {
  std::string text;
  api::JsonWriter writer(text);
  writer.beginObject().field("zone", trace.zone).field("instance_type", trace.instance_type);
  writer.field("hours", hoursOf(trace.gap * static_cast<std::int64_t>(trace.available.size())));
  writer.field("up_share", statistics.up_share).field("reclaims", statistics.reclaims);
  writer.field("mean_up_hours", hoursOf(statistics.mean_up));
  writer.field("mean_down_hours", hoursOf(statistics.mean_down));
  writer.field("price_min", statistics.least)
      .field("price_mean", statistics.mean)
      .field("price_max", statistics.most);
  writer.key("hazard").beginArray();
  for (const auto& age : statistics.by_age) {
    writer.beginObject().field("from_hours", hoursOf(age.from)).field("hours", age.hours);
    writer.field("reclaims", age.reclaims).field("per_hour", age.perHour()).endObject();
  }
  writer.endArray().endObject();
  return text + "\n";
}

int show(const Context& context, const MarketFlags& flags) {
  const auto machines = parseNumber<std::int32_t>(flags.machines);
  if (!machines || *machines < 1)
    return context.fail({ErrorCode::invalid_argument,
                         "--machines: must be a number from 1 on, not " + inQuotes(flags.machines), false});
  const auto traces = readTraces(flags.files);
  if (!traces) return context.fail(traces.error());
  std::string text;
  std::vector<sim::TraceStatistics> all;
  for (const sim::Trace& trace : *traces) {
    all.push_back(sim::statisticsOf(trace, *machines));
    text +=
        flags.json ? jsonOf(trace, all.back()) : drawing(context.out, trace, all.back(), *machines) + "\n";
  }
  if (!flags.json) text += hazardTable(context.out, all);
  context.print(text);
  return 0;
}

}  // namespace

void addMarket(Command& root) {
  auto flags = std::make_shared<MarketFlags>();
  Command& command = root.add("market", "Recorded spot markets");
  Command& shower = command.add("show", "Draw capacity and price, and say how long machines lived");
  shower.listArgument("FILE", flags->files, "recorded markets, one a zone", Hint::file);
  shower.option("--machines", "N", flags->machines, "count as up what a gang of so many fits into (1)");
  shower.flag("--json", flags->json, "one JSON object for each file");
  shower.action = [flags](Context& context) { return show(context, *flags); };
}

}  // namespace buoy::cli
