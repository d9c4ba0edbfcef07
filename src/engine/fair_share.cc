#include "engine/fair_share.h"

#include <algorithm>
#include <cmath>

#include "base/strings.h"

namespace buoy::engine {
namespace {

// With at most one digit behind the point.
std::string oneDigit(double value) {
  const auto tenths = static_cast<std::int64_t>(std::llround(value * 10));
  const std::string whole = std::to_string(tenths / 10);
  return tenths % 10 == 0 ? whole : whole + "." + std::to_string(tenths % 10);
}

std::string weightText(double weight) {
  std::string text = std::to_string(weight);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

double weightOf(const FairShare& fair, std::string_view share) {
  const FairShare::Weight* best = nullptr;
  for (const FairShare::Weight& each : fair.weights) {
    if (each.share == share) return each.weight;
    const bool prefix = each.share.ends_with('*') &&
                        share.starts_with(std::string_view(each.share).substr(0, each.share.size() - 1));
    if (prefix && (!best || each.share.size() > best->share.size())) best = &each;
  }
  return best ? best->weight : 1;
}

void settleUse(ShareUse& use, Duration decay, Time now) {
  if (decay <= Duration{0}) {
    use.past = 0;
  } else if (use.as_of != Time{} && now > use.as_of) {
    const double kept =
        std::exp(-static_cast<double>((now - use.as_of).count()) / static_cast<double>(decay.count()));
    const auto held = static_cast<double>(use.held);
    use.past = held + (use.past - held) * kept;
  }
  use.as_of = std::max(use.as_of, now);
}

double levelOf(const ShareUse& use, double weight) {
  return (static_cast<double>(use.held) + use.past) / 1000 / weight;
}

std::int32_t reservedOf(std::int32_t capacity, std::int32_t percent, std::size_t active) {
  if (percent <= 0 || active == 0) return 0;
  return static_cast<std::int32_t>(capacity * std::pow(percent / 100.0, static_cast<double>(active)));
}

std::string describeUse(std::string_view share, const ShareUse& use, double weight) {
  const std::string past = oneDigit(use.past / 1000);
  return strCat({share.empty() ? std::string("the share without a name") : strCat({"share '", share, "'"}),
                 " uses ", oneDigit(static_cast<double>(use.held) / 1000), " cpus",
                 past == "0" ? "" : strCat({", and ", past, " of late,"}), " at weight ",
                 weightText(weight)});
}

}  // namespace buoy::engine
