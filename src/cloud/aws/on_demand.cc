#include "cloud/aws/on_demand.h"

#include <nlohmann/json.hpp>

#include "base/parse_number.h"
#include "base/strings.h"
#include "cloud/aws/known_types.h"
#include "os/files.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::json;

constexpr int kMostPricePages = 20;
constexpr std::uint64_t kMostKept = 4 << 20;
constexpr Duration kKeptFor = std::chrono::hours{7 * 24};

const Json* at(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string textIn(const Json* object, const char* key) {
  const Json* value = object == nullptr ? nullptr : at(*object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// The first price in USD an hour of the product's terms; zero ones are of reservations.
std::optional<PricePerHour> hourlyOf(const Json& product) {
  const Json* terms = at(product, "terms");
  const Json* on_demand = terms == nullptr ? nullptr : at(*terms, "OnDemand");
  if (on_demand == nullptr || !on_demand->is_object()) return std::nullopt;
  for (const Json& term : *on_demand) {
    const Json* dimensions = at(term, "priceDimensions");
    if (dimensions == nullptr || !dimensions->is_object()) continue;
    for (const Json& dimension : *dimensions) {
      const auto usd = parseNumber<double>(textIn(at(dimension, "pricePerUnit"), "USD"));
      const std::string unit = textIn(&dimension, "unit");
      if (!usd || *usd <= 0 || (unit != "Hrs" && unit != "Hours")) continue;
      if (const auto price = priceFromUsd(*usd)) return *price;
    }
  }
  return std::nullopt;
}

// {REGION: {TYPE: {"usd_nano": N, "at": "2026-11-21T…Z"}}}
Json kept(const std::string& file) {
  const auto text =
      file.empty() ? Result<std::string>(fail(ErrorCode::not_found, "")) : os::readFile(file, kMostKept);
  Json parsed = text ? Json::parse(*text, nullptr, false) : Json::object();
  return parsed.is_object() ? parsed : Json::object();
}

}  // namespace

std::string_view toString(OnDemandPrice::Source source) {
  switch (source) {
    case OnDemandPrice::Source::asked:
      return "asked";
    case OnDemandPrice::Source::kept:
      return "kept";
    case OnDemandPrice::Source::table:
      return "table";
  }
  return "table";
}

Result<ProductPage> parseProducts(std::string_view body) {
  const Json parsed = Json::parse(body, nullptr, false);
  const Json* list = at(parsed, "PriceList");
  if (list == nullptr || !list->is_array()) return fail(ErrorCode::internal, "AWS's answer has no PriceList");
  ProductPage page;
  for (const Json& entry : *list) {
    // Each product is a document of its own, as text.
    const Json product =
        entry.is_string() ? Json::parse(entry.get_ref<const std::string&>(), nullptr, false) : entry;
    const Json* described = at(product, "product");
    const std::string type = described == nullptr ? "" : textIn(at(*described, "attributes"), "instanceType");
    const auto price = hourlyOf(product);
    if (!type.empty() && price) page.prices.try_emplace(type, *price);
  }
  page.next = textIn(&parsed, "NextToken");
  return page;
}

Answer<PricePerHour> askOnDemandPrice(Caller& caller, const std::string& type, const std::string& region,
                                      const std::stop_token& stop) {
  Json filters = Json::array();
  for (const auto& [field, value] : {std::pair<const char*, std::string>{"instanceType", type},
                                     {"regionCode", region},
                                     {"operatingSystem", "Linux"},
                                     {"tenancy", "Shared"},
                                     {"preInstalledSw", "NA"},
                                     {"capacitystatus", "Used"}})
    filters.push_back({{"Type", "TERM_MATCH"}, {"Field", field}, {"Value", value}});
  std::string token;
  for (int page = 0; page < kMostPricePages; ++page) {
    Json body{{"ServiceCode", "AmazonEC2"}, {"FormatVersion", "aws_v1"}, {"Filters", filters}};
    if (!token.empty()) body["NextToken"] = token;
    BUOY_ASK(const std::string answer,
             caller.call(jsonCall("pricing", "AWSPriceListService.GetProducts", body.dump()), stop));
    const auto products = parseProducts(answer);
    if (!products) return tl::unexpected(refusalOf("GetProducts", products.error()));
    if (const auto found = products->prices.find(type); found != products->prices.end()) return found->second;
    if (products->next.empty()) break;
    token = products->next;
  }
  Refusal none = refusalOf(
      "GetProducts",
      Error{ErrorCode::not_found, strCat({"AWS's price list has no ", type, " in ", region}), false});
  none.kind = RefusalKind::not_found;
  return tl::unexpected(std::move(none));
}

std::map<std::string, OnDemandPrice> OnDemandPrices::of(Caller& caller, const std::vector<std::string>& types,
                                                        const std::string& region, std::string* why,
                                                        const std::stop_token& stop) {
  using Source = OnDemandPrice::Source;
  std::map<std::string, OnDemandPrice> prices;
  Json file = kept(file_);
  const Time now = clock_.now();
  bool changed = false, answers = true;
  for (const std::string& type : types) {
    const Json* entry = at(file, region.c_str());
    entry = entry == nullptr ? nullptr : at(*entry, type.c_str());
    const auto asked_at = parseTime(textIn(entry, "at"));
    const Json* usd = entry == nullptr ? nullptr : at(*entry, "usd_nano");
    const bool usable =
        asked_at && usd != nullptr && usd->is_number_integer() && usd->get<std::int64_t>() > 0;
    if (usable && now - *asked_at < kKeptFor && *asked_at <= now) {
      prices[type] = {PricePerHour{usd->get<std::int64_t>()}, Source::kept,
                      formatTime(*asked_at).substr(0, 10)};
      continue;
    }
    if (answers) {
      const auto price = askOnDemandPrice(caller, type, region, stop);
      if (price) {
        prices[type] = {*price, Source::asked, formatTime(now).substr(0, 10)};
        if (!file[region].is_object()) file[region] = Json::object();
        file[region][type] = {{"usd_nano", price->nano_usd}, {"at", formatTime(now)}};
        changed = true;
        continue;
      }
      answers = price.error().kind == RefusalKind::not_found;
      if (why != nullptr && why->empty()) *why = price.error().error.message;
    }
    if (usable) {  // older than a week is still better than the table
      prices[type] = {PricePerHour{usd->get<std::int64_t>()}, Source::kept,
                      formatTime(*asked_at).substr(0, 10)};
    } else if (const auto known = knownType(type, region); known && known->price) {
      prices[type] = {*known->price, Source::table, std::string(kTableDate)};
    }
  }
  // What cannot be kept is asked for again.
  if (changed && !file_.empty()) (void)os::writeFileAtomic(file_, file.dump() + "\n");
  return prices;
}

}  // namespace buoy::cloud::aws
