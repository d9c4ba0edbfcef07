#include "cloud/aws/price_book.h"

#include <algorithm>

namespace buoy::cloud::aws {
namespace {

// More than EC2 changes in the hour that is of interest.
constexpr std::size_t kMostPrices = 16;

}  // namespace

void PriceBook::note(const std::vector<SpotPrice>& prices) {
  for (const SpotPrice& price : prices) {
    std::vector<SpotPrice>& known = prices_[{price.type, price.zone}];
    const auto place = std::lower_bound(known.begin(), known.end(), price.since,
                                        [](const SpotPrice& each, Time since) { return each.since < since; });
    if (place != known.end() && place->since == price.since) {
      *place = price;
    } else {
      known.insert(place, price);
    }
    if (known.size() > kMostPrices) known.erase(known.begin());
  }
}

const SpotPrice* PriceBook::of(const std::string& type, const std::string& zone) const {
  const auto found = prices_.find({type, zone});
  return found == prices_.end() ? nullptr : &found->second.back();
}

const SpotPrice* PriceBook::at(const std::string& type, const std::string& zone, Time time) const {
  const auto found = prices_.find({type, zone});
  if (found == prices_.end()) return nullptr;
  const std::vector<SpotPrice>& known = found->second;
  const auto later = std::upper_bound(known.begin(), known.end(), time,
                                      [](Time at, const SpotPrice& each) { return at < each.since; });
  return later == known.begin() ? &known.front() : &*(later - 1);
}

const SpotPrice* PriceBook::lowest(const std::string& type, const std::vector<std::string>& zones) const {
  const SpotPrice* best = nullptr;
  for (auto it = prices_.lower_bound({type, ""}); it != prices_.end() && it->first.first == type; ++it) {
    const SpotPrice& latest = it->second.back();
    const bool wanted =
        zones.empty() || std::find(zones.begin(), zones.end(), it->first.second) != zones.end();
    if (wanted && (best == nullptr || latest.price < best->price)) best = &latest;
  }
  return best;
}

Time hourOf(Time launched, Time now) {
  constexpr Duration kHour = std::chrono::hours{1};
  return now <= launched ? launched : launched + (now - launched) / kHour * kHour;
}

}  // namespace buoy::cloud::aws
