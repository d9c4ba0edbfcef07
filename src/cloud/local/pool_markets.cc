#include "cloud/local/pool_markets.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "os/files.h"
#include "os/log.h"

namespace buoy::cloud::local {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kTraceFileLimit = 256ull << 20;
constexpr std::size_t kRecent = 256;  // launches that may be asked for again

std::int32_t rankOf(const std::map<std::uint64_t, MachineId>& running, std::uint64_t order) {
  return static_cast<std::int32_t>(std::distance(running.begin(), running.lower_bound(order))) + 1;
}

}  // namespace

PoolMarkets::PoolMarkets(std::string state_dir, const Clock& clock)
    : state_dir_(std::move(state_dir)), clock_(clock) {}

void PoolMarkets::load(const std::string& name, Pool& pool) {
  pool.loaded = true;
  const auto text = os::readFile(pathOf(name), 1u << 20);
  if (!text) return;
  const Json json = Json::parse(*text, nullptr, false);
  try {
    pool.launched = json.at("launched").get<std::uint64_t>();
    pool.recent = json.at("recent").get<std::map<std::string, std::uint64_t>>();
    if (json.contains("origin"))
      pool.origin = parseTime(json.at("origin").get<std::string>()).value_or(clock_.now());
  } catch (const Json::exception& error) {
    os::log(os::LogLevel::warn, "pool_file_unreadable", {{"pool", name}, {"error", error.what()}});
  }
}

Status PoolMarkets::save(const std::string& name, const Pool& pool) {
  Json json{{"launched", pool.launched}, {"recent", pool.recent}};
  if (pool.origin) json["origin"] = formatTime(*pool.origin);
  BUOY_TRY_VOID(os::makeDirectories(state_dir_ + "/pools", 0700));
  return replaceFile(pathOf(name), json.dump() + "\n");
}

Result<PoolMarkets::Pool*> PoolMarkets::configure(State& state, const std::string& name,
                                                  const std::string& config) {
  if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "a pool cannot be called '" + name + "'");
  }
  Pool& pool = state.pools[name];
  if (!pool.loaded) load(name, pool);
  if (pool.config == config) return &pool;
  BUOY_TRY(Market market, parseMarket(config));
  std::unique_ptr<TraceMarket> trace_market;
  if (market.usesTrace()) {
    BUOY_TRY(const std::string text, os::readFile(market.trace, kTraceFileLimit));
    auto trace = sim::parseTrace(text);
    if (!trace) return fail(trace.error().wrap(market.trace));
    if (!pool.origin) {
      pool.origin = clock_.now();
      BUOY_TRY_VOID(save(name, pool));
    }
    trace_market = std::make_unique<TraceMarket>(std::make_shared<const sim::Trace>(std::move(*trace)),
                                                 market.speed, *pool.origin);
  }
  pool.market = std::move(market);
  pool.trace = std::move(trace_market);
  pool.config = config;
  return &pool;
}

// Counted before the machine exists: a machine asked for twice, with a crash in between, takes one place of a
// script.
Result<std::uint64_t> PoolMarkets::orderOf(const std::string& name, Pool& pool, MachineId machine) {
  const auto [found, is_new] = pool.recent.try_emplace(machine.toString(), pool.launched + 1);
  const std::uint64_t order = found->second;
  if (!is_new) return order;
  ++pool.launched;
  if (pool.recent.size() > kRecent) {
    const auto oldest = std::min_element(pool.recent.begin(), pool.recent.end(),
                                         [](const auto& a, const auto& b) { return a.second < b.second; });
    pool.recent.erase(oldest);
  }
  BUOY_TRY_VOID(save(name, pool));
  return order;
}

Result<PoolMarkets::Admission> PoolMarkets::admit(const LaunchRequest& request) {
  if (request.market == engine::Market::on_demand) return Admission{};
  auto state = state_.lock();
  BUOY_TRY(Pool * pool, configure(*state, request.pool, request.provider_config));
  Admission admission;
  admission.usual_notice = pool->market.notice.value_or(Duration{});
  if (!pool->market.scripted && !pool->trace) {
    admission.appointment = appointmentFor(pool->market, 0, request.machine);
    return admission;
  }
  const Time now = clock_.now();
  if (pool->trace && !state->pool_of.contains(request.machine)) {
    const std::int32_t available = pool->trace->availableAt(now);
    if (available <= static_cast<std::int32_t>(pool->running.size())) {
      return fail(
          ErrorCode::resource_exhausted,
          "the recorded market has " + std::to_string(available) + " machines now, all of them running",
          true);
    }
  }
  BUOY_TRY(admission.order, orderOf(request.pool, *pool, request.machine));
  if (!pool->trace) {
    admission.appointment = appointmentFor(pool->market, admission.order, request.machine);
    if (admission.appointment && admission.appointment->notice)
      admission.usual_notice = *admission.appointment->notice;
    return admission;
  }
  pool->running[admission.order] = request.machine;
  pool->types.insert(request.type.name);
  state->pool_of[request.machine] = request.pool;
  if (const auto loss = pool->trace->lossOf(rankOf(pool->running, admission.order), now)) {
    admission.appointment = appointmentAt(*loss, pool->market.notice, now);
  }
  return admission;
}

void PoolMarkets::readmit(const MachineRecord& record) {
  if (record.market == engine::Market::on_demand || record.order == 0) return;
  auto state = state_.lock();
  const auto pool = configure(*state, record.pool, record.provider_config);
  if (!pool) {
    os::log(os::LogLevel::warn, "market_unreadable",
            {{"pool", record.pool}, {"error", pool.error().message}});
    return;
  }
  if (!(*pool)->trace) return;
  (*pool)->running[record.order] = record.machine;
  (*pool)->types.insert(record.type);
  state->pool_of[record.machine] = record.pool;
}

std::vector<PoolMarkets::Reschedule> PoolMarkets::release(MachineId machine) {
  auto state = state_.lock();
  const auto entry = state->pool_of.find(machine);
  if (entry == state->pool_of.end()) return {};
  Pool& pool = state->pools[entry->second];
  state->pool_of.erase(entry);
  const auto gone = std::find_if(pool.running.begin(), pool.running.end(),
                                 [&](const auto& item) { return item.second == machine; });
  if (gone == pool.running.end()) return {};
  std::vector<Reschedule> moved;
  const Time now = clock_.now();
  for (auto after = pool.running.erase(gone); after != pool.running.end() && pool.trace; ++after) {
    const auto loss = pool.trace->lossOf(rankOf(pool.running, after->first), now);
    std::optional<Appointment> appointment;
    if (loss) appointment = appointmentAt(*loss, pool.market.notice, now);
    moved.emplace_back(after->second, appointment);
  }
  return moved;
}

std::vector<engine::PriceChanged> PoolMarkets::newPrices() {
  std::vector<engine::PriceChanged> changes;
  auto state = state_.lock();
  for (auto& [name, pool] : state->pools) {
    const auto price = pool.trace ? pool.trace->priceAt(clock_.now()) : std::nullopt;
    if (!price) continue;
    for (const std::string& type : pool.types) {
      const auto [told, is_new] = pool.told.try_emplace(type, *price);
      if (!is_new && told->second == *price) continue;
      told->second = *price;
      changes.push_back({name, type, *price});
    }
  }
  return changes;
}

std::optional<Time> PoolMarkets::nextPriceChange() {
  std::optional<Time> next;
  auto state = state_.lock();
  for (const auto& [name, pool] : state->pools) {
    const auto change = pool.trace ? pool.trace->nextPriceChange(clock_.now()) : std::nullopt;
    if (change && (!next || *change < *next)) next = change;
  }
  return next;
}

}  // namespace buoy::cloud::local
