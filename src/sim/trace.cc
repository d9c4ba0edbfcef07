#include "sim/trace.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace buoy::sim {
namespace {

using Json = nlohmann::json;

constexpr double kMaxSeconds = 10.0 * 365 * 24 * 3600;
constexpr std::size_t kMaxTicks = 10'000'000;

tl::unexpected<Error> invalid(std::string_view field, std::string_view problem) {
  return fail(ErrorCode::invalid_argument, strCat({field, ": ", problem}));
}

Result<PricePerHour> priceOf(const Json& value, std::string_view field) {
  auto price = priceFromUsd(value.is_number() ? value.get<double>() : -1);
  if (!price) return invalid(field, "must be a price in USD an hour");
  return price;
}

Result<std::string> textOf(const Json& value, std::string_view field) {
  if (!value.is_string()) return invalid(field, "must be text");
  return value.get<std::string>();
}

Status readMetadata(const Json& root, Trace& trace) {
  const auto metadata = root.find("metadata");
  if (metadata == root.end() || !metadata->is_object() || !metadata->contains("gap_seconds"))
    return invalid("metadata.gap_seconds", "is missing");
  const Json& gap = (*metadata)["gap_seconds"];
  const double seconds = gap.is_number() ? gap.get<double>() : -1;
  if (!(seconds >= 0.001 && seconds <= kMaxSeconds))
    return invalid("metadata.gap_seconds", "must be a number of seconds from 0.001 to ten years");
  trace.gap = Duration{std::llround(seconds * 1e6)};
  const auto given = [&](const char* name) {
    const auto found = metadata->find(name);
    return found == metadata->end() || found->is_null() ? nullptr : &*found;
  };
  if (const Json* const zone = given("zone")) {
    BUOY_TRY(trace.zone, textOf(*zone, "metadata.zone"));
  }
  if (const Json* const type = given("instance_type")) {
    BUOY_TRY(trace.instance_type, textOf(*type, "metadata.instance_type"));
  }
  if (const Json* const price = given("on_demand_price")) {
    BUOY_TRY(trace.on_demand_price, priceOf(*price, "metadata.on_demand_price"));
  }
  return {};
}

Status readAvailability(const Json& root, Trace& trace) {
  const auto data = root.find("data");
  if (data == root.end() || !data->is_array() || data->empty())
    return invalid("data", "must be a list of instance counts");
  if (data->size() > kMaxTicks) return invalid("data", "has more than 10 million ticks");
  trace.available.reserve(data->size());
  for (const Json& value : *data) {
    const double count = value.is_number() ? value.get<double>() : -1;
    if (!(count >= 0 && count <= 1e9))
      return invalid(strCat({"data[", std::to_string(trace.available.size()), "]"}),
                     "must be a number of instances");
    trace.available.push_back(static_cast<std::int32_t>(count));
  }
  return {};
}

Status readPrices(const Json& root, Trace& trace) {
  const auto prices = root.find("prices");
  if (prices == root.end() || prices->is_null()) return {};
  if (!prices->is_array() || prices->size() != trace.available.size())
    return invalid("prices", "must be a list as long as data");
  trace.prices.reserve(prices->size());
  for (const Json& value : *prices) {
    BUOY_TRY(const PricePerHour price,
             priceOf(value, strCat({"prices[", std::to_string(trace.prices.size()), "]"})));
    trace.prices.push_back(price);
  }
  return {};
}

}  // namespace

Result<Trace> parseTrace(std::string_view json) {
  const Json root = Json::parse(json, nullptr, false);
  if (root.is_discarded() || !root.is_object())
    return fail(ErrorCode::invalid_argument, "a trace must be a JSON object");
  Trace trace;
  BUOY_TRY_VOID(readMetadata(root, trace));
  BUOY_TRY_VOID(readAvailability(root, trace));
  BUOY_TRY_VOID(readPrices(root, trace));
  return trace;
}

}  // namespace buoy::sim
