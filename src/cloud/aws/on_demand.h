#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "cloud/aws/caller.h"

// What machines cost on demand: by AWS's price list, from a file that keeps what it said, or from a table.
namespace buoy::cloud::aws {

struct OnDemandPrice {
  enum class Source { asked, kept, table };
  PricePerHour price{};
  Source source = Source::table;
  std::string as_of;  // the day that it was asked on, or the table's date
};
std::string_view toString(OnDemandPrice::Source source);

// One page of GetProducts
// (https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html): the
// price of an hour, by type.
struct ProductPage {
  std::map<std::string, PricePerHour> prices;
  std::string next;  // empty: this was the last
};
Result<ProductPage> parseProducts(std::string_view body);

// Asks for one type: Linux, shared tenancy, nothing installed. not_found: the list has none such.
Answer<PricePerHour> askOnDemandPrice(Caller& caller, const std::string& type, const std::string& region,
                                      const std::stop_token& stop);

class OnDemandPrices {
 public:
  // `file` keeps answers for a week ("": none is kept).
  OnDemandPrices(std::string file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}

  // Those that are known, by type. `why`, if not null: why AWS did not answer, if it had to be asked.
  std::map<std::string, OnDemandPrice> of(Caller& caller, const std::vector<std::string>& types,
                                          const std::string& region, std::string* why,
                                          const std::stop_token& stop);

 private:
  const std::string file_;
  const Clock& clock_;
};

}  // namespace buoy::cloud::aws
