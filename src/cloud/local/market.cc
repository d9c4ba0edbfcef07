#include "cloud/local/market.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace buoy::cloud::local {
namespace {

using Json = nlohmann::json;

constexpr double kMaxSeconds = 10.0 * 365 * 24 * 3600;
constexpr double kMaxSpeed = 1e6;
constexpr std::size_t kMaxScript = 10'000;

tl::unexpected<Error> invalid(std::string_view field, std::string_view problem) {
  return fail(ErrorCode::invalid_argument, strCat({field, ": ", problem}));
}

Result<Duration> secondsOf(const Json& value, std::string_view field) {
  if (!value.is_number()) return invalid(field, "must be a number of seconds");
  const double seconds = value.get<double>();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kMaxSeconds) {
    return invalid(field, "must be between 0 and ten years of seconds");
  }
  return Duration{std::llround(seconds * 1e6)};
}

Result<std::optional<Duration>> noticeOf(const Json& object, std::optional<Duration> fallback,
                                         std::string_view field) {
  const auto found = object.find("notice");
  if (found == object.end()) return fallback;
  if (found->is_null() || *found == "none") return std::optional<Duration>{};
  BUOY_TRY(const Duration notice, secondsOf(*found, field));
  return std::optional<Duration>{notice};
}

Status parseScript(const Json& script, Market& market) {
  if (!script.is_array()) return invalid("market.script", "must be a list");
  if (script.size() > kMaxScript) return invalid("market.script", "has more than 10000 entries");
  for (std::size_t i = 0; i < script.size(); ++i) {
    const std::string field = "market.script[" + std::to_string(i) + "]";
    if (!script[i].is_object() || !script[i].contains("after")) return invalid(field, "needs \"after\"");
    Appointment entry;
    BUOY_TRY(entry.after, secondsOf(script[i]["after"], field + ".after"));
    BUOY_TRY(entry.notice, noticeOf(script[i], market.notice, field + ".notice"));
    market.script.push_back(entry);
  }
  market.scripted = true;
  return {};
}

Result<Market> marketOf(const Json& object) {
  if (!object.is_object()) return invalid("market", "must be a JSON object");
  Market market;
  BUOY_TRY(market.notice, noticeOf(object, std::nullopt, "market.notice"));
  for (const auto& [key, value] : object.items()) {
    if (key == "notice") continue;
    if (key == "script") {
      BUOY_TRY_VOID(parseScript(value, market));
    } else if (key == "mean_uptime") {
      BUOY_TRY(market.mean_uptime, secondsOf(value, "market.mean_uptime"));
    } else if (key == "seed") {
      if (!value.is_number_unsigned()) return invalid("market.seed", "must be a whole number of at least 0");
      market.seed = value.get<std::uint64_t>();
    } else if (key == "trace") {
      if (!value.is_string()) return invalid("market.trace", "must be the path of a file");
      market.trace = value.get<std::string>();
      if (!market.trace.empty() && market.trace[0] != '/')
        return invalid("market.trace", "must be an absolute path");
    } else if (key == "speed") {
      if (!value.is_number()) return invalid("market.speed", "must be a number");
      market.speed = value.get<double>();
      if (!(market.speed > 0 && market.speed <= kMaxSpeed))
        return invalid("market.speed", "must be above 0 and at most 1e6");
    } else {
      return invalid("market." + key, "unknown key");
    }
  }
  return market;
}

// Well mixed bits from a counter (splitmix64), so that neighbouring machines have unrelated fates.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Duration exponential(Duration mean, std::uint64_t seed, MachineId machine) {
  const double uniform = static_cast<double>(mix(mix(seed) ^ machine.value) >> 11) * 0x1.0p-53;  // [0, 1)
  const double seconds = -std::log1p(-uniform) * static_cast<double>(mean.count()) / 1e6;
  return Duration{std::llround(std::min(seconds, kMaxSeconds) * 1e6)};
}

}  // namespace

Result<Market> parseMarket(std::string_view provider_config) {
  if (trim(provider_config).empty()) return Market{};
  return marketOf(Json::parse(provider_config, nullptr, false));
}

std::optional<Appointment> appointmentFor(const Market& market, std::uint64_t order, MachineId machine) {
  if (market.scripted) {
    if (order == 0 || order > market.script.size()) return std::nullopt;
    return market.script[order - 1];
  }
  if (market.mean_uptime == Duration{}) return std::nullopt;
  return Appointment{exponential(market.mean_uptime, market.seed, machine), market.notice};
}

TraceMarket::TraceMarket(std::shared_ptr<const sim::Trace> trace, double speed, Time origin)
    : trace_(std::move(trace)),
      tick_(std::max<std::int64_t>(std::llround(static_cast<double>(trace_->gap.count()) / speed), 1)),
      origin_(origin) {
  BUOY_CHECK(!trace_->available.empty() && speed > 0);
}

std::int64_t TraceMarket::tickAt(Time now) const {
  return now <= origin_ ? 0 : (now - origin_) / tick_;
}

// A whole round of the trace is enough: it repeats.
template <class Matches>
std::optional<Time> TraceMarket::firstTickAfter(Time now, Matches matches) const {
  const auto length = static_cast<std::int64_t>(trace_->available.size());
  const std::int64_t current = tickAt(now);
  for (std::int64_t tick = current + 1; tick <= current + length; ++tick) {
    if (matches(static_cast<std::size_t>(tick % length))) return startOf(tick);
  }
  return std::nullopt;
}

std::int32_t TraceMarket::availableAt(Time now) const {
  return trace_->available[static_cast<std::size_t>(tickAt(now)) % trace_->available.size()];
}

std::optional<Time> TraceMarket::lossOf(std::int32_t rank, Time now) const {
  return firstTickAfter(now, [&](std::size_t index) { return trace_->available[index] < rank; });
}

std::optional<PricePerHour> TraceMarket::priceAt(Time now) const {
  if (trace_->prices.empty()) return std::nullopt;
  return trace_->prices[static_cast<std::size_t>(tickAt(now)) % trace_->prices.size()];
}

std::optional<Time> TraceMarket::nextPriceChange(Time now) const {
  const auto price = priceAt(now);
  if (!price) return std::nullopt;
  return firstTickAfter(now, [&](std::size_t index) { return trace_->prices[index] != *price; });
}

Appointment appointmentAt(Time loss, std::optional<Duration> notice, Time now) {
  const Duration left = std::max(loss - now, Duration{});
  if (!notice) return {left, std::nullopt};
  const Duration told = std::min(*notice, left);
  return {left - told, told};
}

}  // namespace buoy::cloud::local
