#include "schedule/spot_first.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::schedule {
namespace {

using engine::MachineType;
using engine::Market;
using engine::PlacementRequest;
using engine::Pool;
using engine::PoolView;
using engine::Resources;
using engine::SpotPreference;

PricePerHour priceOf(const MachineType& type, Market market) {
  return market == Market::spot ? type.spot_price : type.on_demand_price;
}

std::string cpusText(std::int64_t milli) {
  return milli % 1000 == 0 ? std::to_string(milli / 1000) + " cpus" : std::to_string(milli) + "m cpus";
}

// Empty: large enough.
std::string tooSmall(const Resources& have, const Resources& need) {
  std::string lacks;
  const auto add = [&](const std::string& has, const std::string& needs) {
    lacks += strCat({lacks.empty() ? "too small: " : ", ", has, ", needs ", needs});
  };
  if (have.milli_cpus < need.milli_cpus) add(cpusText(have.milli_cpus), cpusText(need.milli_cpus));
  if (have.gpus < need.gpus) add(std::to_string(have.gpus) + " gpus", std::to_string(need.gpus) + " gpus");
  if (have.memory < need.memory)
    add(formatByteCount(have.memory) + " of memory", formatByteCount(need.memory));
  return lacks;
}

// Empty: spot costs no more than the pool takes.
std::string tooDear(const Pool& pool, const MachineType& type) {
  if (pool.max_spot_percent <= 0) return {};
  const std::int64_t spot = type.spot_price.nano_usd, full = type.on_demand_price.nano_usd;
  if (spot <= full / 100 * pool.max_spot_percent) return {};
  return strCat({"spot costs more than ", std::to_string(pool.max_spot_percent), "% of on-demand"});
}

// Why nothing of this market can be had of the pool now, whatever the type; empty: it can.
std::string whyNot(const PlacementRequest& request, const PoolView& view, Market market, Time now) {
  const Pool& pool = *view.pool;
  const bool spot = market == Market::spot;
  if (pool.paused) return "paused";
  if (request.image && pool.isolation == engine::Isolation::container && !pool.no_containers.empty())
    return strCat({"runs no containers: ", pool.no_containers,
                   " (with `isolation: process` the pool runs the job's command without its image)"});
  if (!(spot ? pool.spot : pool.on_demand))
    return spot ? "offers no spot machines" : "offers no on-demand machines";
  const std::int32_t idle = spot ? view.idle_spot : view.idle_on_demand;
  if (idle >= request.count) return {};
  const std::int32_t launches = request.count - idle;
  if (launches > view.free) {
    std::string limit = std::to_string(pool.max_machines);
    if (pool.max_milli_cpus > 0) limit = strCat({cpusText(pool.max_milli_cpus), " and ", limit});
    // Without the number that is free now: it changes with every job that ends, and each change is told once.
    if (request.count == 1) return strCat({"full (limit of ", limit, " machines)"});
    return strCat({"no room for ", std::to_string(request.count), " machines (limit of ", limit, ")"});
  }
  const auto backingOff = [&](std::uint32_t failures, Time retry_at, std::string_view what) {
    return strCat({"backing off after ", std::to_string(failures), " failed ", what,
                   failures == 1 ? "" : "es", ", tried again at ", formatTime(retry_at)});
  };
  if (now < pool.retry_at) return backingOff(pool.consecutive_failures, pool.retry_at, "launch");
  if (spot && now < pool.spot_retry_at)
    return backingOff(pool.spot_failures, pool.spot_retry_at, "spot launch");
  if (spot ? view.trial_spot : view.trial_on_demand) return "one launch is tried first after failed ones";
  return {};
}

}  // namespace

engine::Placement SpotFirst::place(const PlacementRequest& request, std::span<const PoolView> pools,
                                   Time now) const {
  engine::Placement placement;
  const auto consider = [&](const PoolView& view, Market market, const MachineType& type,
                            std::string rejected) {
    const PricePerHour price = priceOf(type, market);
    if (rejected.empty() && !placement.pool) {
      placement.pool = view.pool;
      placement.type = &type;
      placement.market = market;
    }
    placement.candidates.push_back({.pool = view.pool->name,
                                    .type = type.name,
                                    .market = market,
                                    .price = price,
                                    .score = static_cast<double>(price.nano_usd) * request.count / 1e9,
                                    .rejected = std::move(rejected)});
  };
  std::vector<const MachineType*> types;
  for (const PoolView& view : pools) {
    for (const Market market : {Market::spot, Market::on_demand}) {
      const auto excluded = market == Market::spot ? SpotPreference::never : SpotPreference::only;
      if (request.spot == excluded) continue;
      const std::string why_not = whyNot(request, view, market, now);
      types.clear();
      for (const MachineType& type : view.pool->types) types.push_back(&type);
      const auto fits = [&](const MachineType* type) {
        return tooSmall(type->resources, request.resources).empty();
      };
      const auto unfit = std::stable_partition(types.begin(), types.end(), fits);
      std::stable_sort(types.begin(), unfit, [&](const MachineType* a, const MachineType* b) {
        return priceOf(*a, market) < priceOf(*b, market);
      });
      for (auto it = types.begin(); it != types.end(); ++it) {
        std::string rejected = it < unfit ? why_not : tooSmall((*it)->resources, request.resources);
        if (rejected.empty() && market == Market::spot) rejected = tooDear(*view.pool, **it);
        consider(view, market, **it, std::move(rejected));
      }
    }
  }
  return placement;
}

}  // namespace buoy::schedule
