#include "cli/forecast/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "cli/forecast/report.h"
#include "cli/render/histogram.h"
#include "schedule/spot/policies.h"
#include "sim/generated_market.h"
#include "sim/optimum.h"

namespace buoy::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

ForecastRequest request() {
  ForecastRequest request;
  request.zones = sim::generateMarket({.seed = 8, .zones = 2, .ticks = 1500});
  request.window = {.work = 10h,
                    .deadline = 13h,
                    .changeover = 12min,
                    .on_demand_price = {3'000'000'000},
                    .saves = sim::Saves{.interval = 30min, .cost = 10s, .unnoticed = 0.5}};
  request.starts = 12;
  request.policies = {"uniform-progress", "spot-first"};
  request.budget = {20'000'000'000};
  return request;
}

Forecast run(const ForecastRequest& request) {
  auto result = forecast(request, [](std::size_t, std::size_t) {});
  EXPECT_TRUE(result) << result.error().message;
  return *result;
}

TEST(Forecast, IsWhatTheExactWindowsSay) {
  const ForecastRequest asked = request();
  const Forecast result = run(asked);
  EXPECT_EQ(result.starts, 12u);
  ASSERT_EQ(result.policies.size(), 2u);
  EXPECT_EQ(result.policies[0].policy, "uniform-progress");
  EXPECT_NEAR(result.on_demand, 3 * (10 + 0.2 + 20 * 10 / 3600.0), 0.1) << "its saves take time, too";
  const sim::Trace* zones[] = {&asked.zones[0], &asked.zones[1]};
  double optimum = 0, uniform = 0;
  sim::Window window = asked.window;
  for (const std::size_t start : sim::startTicks(window, zones, 12, asked.seed)) {
    window.start_tick = start;
    optimum += static_cast<double>(sim::optimalCost(window, zones)->nano_usd) / 1e9 / 12;
    uniform +=
        static_cast<double>(sim::replay(window, zones,
                                        **schedule::spot::makePolicy(
                                            "uniform-progress", std::shared_ptr<schedule::spot::Planner>()))
                                .cost.nano_usd) /
        1e9 / 12;
  }
  ASSERT_TRUE(result.optimum);
  EXPECT_NEAR(result.optimum->mean(), optimum, 1e-6);
  EXPECT_NEAR(result.policies[0].outlook.cost.mean(), uniform, 1e-6);
  EXPECT_NEAR(*result.policies[0].of_optimum, uniform / optimum, 1e-6);
  EXPECT_NEAR(result.policies[0].of_on_demand, uniform / result.on_demand, 1e-9);
  EXPECT_EQ(result.policies[0].outlook.met, 1);
  EXPECT_GT(*result.policies[0].within_budget, 0);
}

TEST(Forecast, IsTheSameHoweverManyThreadsThereAre) {
  ForecastRequest asked = request();
  asked.policies = {"buoy"};
  asked.optimum = false;
  const Forecast once = run(asked), again = run(asked);
  EXPECT_EQ(once.policies[0].outlook.cost.mean(), again.policies[0].outlook.cost.mean());
  EXPECT_EQ(once.policies[0].outlook.redone, again.policies[0].outlook.redone);
  EXPECT_FALSE(once.optimum);
}

TEST(Forecast, RefusesWhatDoesNotFit) {
  ForecastRequest asked = request();
  asked.window.deadline = 500h;
  const auto result = forecast(asked, [](std::size_t, std::size_t) {});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("1500 ticks"));
}

ForecastReport report() {
  ForecastReport report;
  report.job = "train <b>&\"";
  report.market = "recorded, a/b";
  report.assumptions = {"a changeover takes 12m"};
  const ForecastRequest asked = request();
  report.window = asked.window;
  report.forecast = run(asked);
  return report;
}

TEST(ForecastReport, SaysEverythingInEveryForm) {
  const ForecastReport told = report();
  const std::string text = renderForecast({.unicode = true, .width = 100}, told);
  for (const char* word :
       {"10h of work within 13h", "12 starts", "uniform-progress", "omniscient", "100 %", "in budget"})
    EXPECT_THAT(text, HasSubstr(word));
  const auto json = nlohmann::json::parse(toJson(told));
  EXPECT_EQ(json["starts"], 12);
  EXPECT_EQ(json["policies"][1]["policy"], "spot-first");
  EXPECT_EQ(json["policies"][0]["deadline_met"], 1.0);
  EXPECT_LE(json["policies"][0]["cost"]["p50"], json["policies"][0]["cost"]["p95"]);
  EXPECT_GE(json["policies"][0]["of_optimum"], 1.0);
}

TEST(ForecastReport, ThePictureIsWellFormedAndStandsAlone) {
  const std::string svg = toSvg(report());
  pugi::xml_document document;
  ASSERT_TRUE(document.load_string(svg.c_str()));
  EXPECT_EQ(std::string(document.document_element().name()), "svg");
  EXPECT_EQ(document.select_nodes("//g").size(), 3u) << "two policies and the optimum";
  EXPECT_THAT(std::string(document.select_node("//text[@class='title']").node().text().get()),
              HasSubstr("train <b>&\""));
  EXPECT_EQ(svg.find("href"), std::string::npos);
}

TEST(Histogram, DrawsEveryBinThatHoldsAnything) {
  const Bins bins{.low = 0, .high = 4, .count = 4};
  const double values[] = {0, 0.5, 0.7, 0.9, 2.5, 4, 9};
  EXPECT_THAT(bins.counts(values), ::testing::ElementsAre(4, 0, 1, 2));
  EXPECT_EQ(renderHistogram({.unicode = true}, bins, values), "█ ▂▄");
  EXPECT_EQ(renderHistogram({}, bins, values), "@ :=");
}

}  // namespace
}  // namespace buoy::cli
