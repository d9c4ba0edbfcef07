#include "cloud/aws/price_book.h"

#include <algorithm>

namespace buoy::cloud::aws {

void PriceBook::note(const std::vector<SpotPrice>& prices) {
  for (const SpotPrice& price : prices) {
    const auto [known, is_new] = prices_.try_emplace({price.type, price.zone}, price);
    if (!is_new && known->second.since <= price.since) known->second = price;
  }
}

const SpotPrice* PriceBook::of(const std::string& type, const std::string& zone) const {
  const auto found = prices_.find({type, zone});
  return found == prices_.end() ? nullptr : &found->second;
}

const SpotPrice* PriceBook::lowest(const std::string& type, const std::vector<std::string>& zones) const {
  const SpotPrice* best = nullptr;
  for (auto it = prices_.lower_bound({type, ""}); it != prices_.end() && it->first.first == type; ++it) {
    const bool wanted =
        zones.empty() || std::find(zones.begin(), zones.end(), it->first.second) != zones.end();
    if (wanted && (best == nullptr || it->second.price < best->price)) best = &it->second;
  }
  return best;
}

}  // namespace buoy::cloud::aws
