#include "cloud/aws/on_demand.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cloud/aws/fake_ec2.h"
#include "cloud/aws/known_types.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::json;
using Source = OnDemandPrice::Source;

std::string product(const std::string& type, const std::string& usd, const std::string& unit = "Hrs") {
  const Json price{{"unit", unit}, {"pricePerUnit", {{"USD", usd}}}};
  return Json{{"product", {{"attributes", {{"instanceType", type}}}}},
              {"terms", {{"OnDemand", {{"SKU.TERM", {{"priceDimensions", {{"SKU.TERM.RATE", price}}}}}}}}}}
      .dump();
}

std::string page(const std::vector<std::string>& products, const std::string& next = "") {
  Json body{{"PriceList", products}};
  if (!next.empty()) body["NextToken"] = next;
  return body.dump();
}

TEST(Products, AreDocumentsInsideOfADocument) {
  const auto parsed =
      parseProducts(page({product("g5.xlarge", "1.0060000000"), product("m5.large", "0.0000000000"),
                          product("c5.large", "3", "Quantity"), "no JSON"},
                         "more"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->prices.size(), 1u);
  EXPECT_EQ(parsed->prices.at("g5.xlarge").nano_usd, 1'006'000'000);
  EXPECT_EQ(parsed->next, "more");
  EXPECT_FALSE(parseProducts("{}"));
}

class OnDemandTest : public ::testing::Test {
 protected:
  OnDemandTest() : caller_(options()) {}
  CallerOptions options() const {
    CallerOptions options = aws_.options(clock_);
    options.patience = options.first_patience = Duration{0};
    return options;
  }
  std::map<std::string, OnDemandPrice> of(const std::vector<std::string>& types) {
    return OnDemandPrices(file_, clock_).of(caller_, types, "us-east-1", &why_, {});
  }

  const os::TempDir directory_ = *os::TempDir::create("buoy-prices-");
  const std::string file_ = directory_.path() + "/prices.json";
  const os::SystemClock clock_;
  FakeAws aws_;
  Caller caller_;
  std::string why_;
};

TEST_F(OnDemandTest, AsksOnceAWeek) {
  aws_.on("GetProducts", [](const FakeCall& call) {
    const Json asked = Json::parse(call.parameters.at("body"));
    EXPECT_EQ(asked["ServiceCode"], "AmazonEC2");
    const bool second = asked.contains("NextToken");
    return buoy::aws::answerOf(second ? page({product("g5.xlarge", "1.5")}) : page({}, "more"));
  });
  EXPECT_EQ(of({"g5.xlarge"}).at("g5.xlarge").source, Source::asked);
  const auto again = of({"g5.xlarge"});
  EXPECT_EQ(again.at("g5.xlarge").source, Source::kept);
  EXPECT_EQ(again.at("g5.xlarge").price.nano_usd, 1'500'000'000);
  EXPECT_EQ(aws_.calls("GetProducts").size(), 2u) << "the two pages";
  EXPECT_EQ(why_, "");
}

TEST_F(OnDemandTest, FallsBackToTheTableAndSaysWhy) {
  aws_.on("GetProducts", [](const FakeCall&) { return ec2Refusal(400, "AccessDeniedException"); });
  ASSERT_TRUE(os::writeFileAtomic(file_, R"({"us-east-1": 7})")) << "whatever is in the file";
  const auto prices = of({"g5.xlarge", "x9.huge", "m5.large"});
  EXPECT_EQ(prices.at("g5.xlarge").source, Source::table);
  EXPECT_EQ(prices.at("m5.large").as_of, kTableDate);
  EXPECT_FALSE(prices.contains("x9.huge"));
  EXPECT_NE(why_, "");
  EXPECT_EQ(aws_.calls("GetProducts").size(), 1u) << "who may not ask for one may not ask for another";
}

TEST_F(OnDemandTest, TakesAnOldAnswerBeforeTheTable) {
  aws_.on("GetProducts", [](const FakeCall&) { return ec2Refusal(400, "AccessDeniedException"); });
  ASSERT_TRUE(os::writeFileAtomic(
      file_, R"({"us-east-1": {"g5.xlarge": {"usd_nano": 5, "at": "2020-01-01T00:00:00Z"}}})"));
  const auto prices = of({"g5.xlarge"});
  EXPECT_EQ(prices.at("g5.xlarge").price.nano_usd, 5);
  EXPECT_EQ(prices.at("g5.xlarge").as_of, "2020-01-01");
}

}  // namespace
}  // namespace buoy::cloud::aws
