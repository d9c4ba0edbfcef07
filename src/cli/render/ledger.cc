#include "cli/render/ledger.h"

#include <array>
#include <cstdio>

#include "base/strings.h"
#include "cli/render/progress.h"
#include "cli/render/timeline.h"

namespace buoy::cli {
namespace {

constexpr int kBar = 24;

struct Widths {
  int name = 9, time = 0, share = 4, money = 0;
};

std::string percentOf(double share) {
  std::array<char, 16> text{};
  // Rounded so that 99.96 % is not shown as all.
  const double value = share * 100;
  std::snprintf(text.data(), text.size(), value > 0 && value < 10 ? "%.1f%%" : "%.0f%%",
                value > 99.5 && value < 100 ? 99.0 : value);
  return text.data();
}

std::string secondsOf(Duration time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(time.count()) / 1e6);
  return text.data();
}

std::string counted(std::uint32_t count, std::string_view what) {
  return strCat({std::to_string(count), " ", what});
}

}  // namespace

std::string renderLedger(const Look& look, const api::LedgerView& ledger) {
  const Duration total = ledger.totalTime();
  const Money paid = ledger.totalCost();
  const std::string total_time = formatDuration(total), total_money = formatMoney(paid);
  const std::string on_demand = formatMoney(ledger.on_demand_cost);
  Widths widths;
  widths.time = displayWidth(total_time);
  widths.money = std::max(displayWidth(total_money), displayWidth(on_demand));
  for (std::size_t u = 0; u < engine::kUseCount; ++u) {
    widths.time = std::max(widths.time, displayWidth(formatDuration(ledger.time[u])));
    widths.money = std::max(widths.money, displayWidth(formatMoney(ledger.cost[u])));
  }
  const auto row = [&](std::string_view name, std::string_view time, std::string_view share,
                       std::string_view money) {
    return strCat({"  ", pad(name, widths.name), "  ", pad(time, widths.time, Align::right), "  ",
                   pad(share, 5, Align::right), "  ", pad(money, widths.money, Align::right)});
  };

  std::string result;
  for (std::size_t u = 0; u < engine::kUseCount; ++u) {
    const auto use = static_cast<engine::Use>(u);
    const double share =
        total > Duration{} ? static_cast<double>(ledger.time[u].count()) / static_cast<double>(total.count())
                           : 0;
    const bool none = ledger.time[u] == Duration{};
    const std::string line = row(engine::toString(use), formatDuration(ledger.time[u]), percentOf(share),
                                 formatMoney(ledger.cost[u]));
    if (none) {
      result += paint(look, Color::dim, row(engine::toString(use), "-", "", "-")) + "\n";
      continue;
    }
    const std::string drawn = fullPart(look, share, kBar);
    result += line + (drawn.empty() ? "" : "  " + paint(look, colorOf(use), drawn)) + "\n";
  }
  result += paint(look, Color::bold, row("billable", total_time, "", total_money)) + "\n";

  const Duration training = ledger.timeOf(engine::Use::useful);
  const double share =
      total > Duration{} ? static_cast<double>(training.count()) / static_cast<double>(total.count()) : 0;
  result += "\n  billable " + secondsOf(total) + ", training " + secondsOf(training) + " (" +
            percentOf(share) + ")";
  if (ledger.queued >= std::chrono::milliseconds{50})
    result += ", queued " + secondsOf(ledger.queued) + " at no cost";
  result += "\n";
  // Without useful time there is nothing that would have cost something on demand.
  const double savings = ledger.savingsPercent();
  if (savings >= 0.05 && training > Duration{}) {
    const std::string sentence =
        "on demand " + on_demand + ", paid " + total_money + ": saved " + percentOf(savings / 100);
    result += "  " + paint(look, Color::green, sentence) + "\n";
  } else if (paid > Money{}) {
    result += "  paid " + total_money + "\n";
  }
  if (ledger.reclaims_noticed + ledger.reclaims_unnoticed > 0) {
    result += "  reclaims: " + counted(ledger.reclaims_noticed, "with notice") + ", " +
              counted(ledger.reclaims_unnoticed, "without") + "\n";
  }
  return result;
}

}  // namespace buoy::cli
