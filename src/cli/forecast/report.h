#pragma once

#include <string>

#include "cli/forecast/forecast.h"
#include "cli/render/look.h"

// A forecast for people and for programs. Pure.
namespace buoy::cli {

struct ForecastReport {
  std::string job;                       // its name; empty: none
  std::string market;                    // "recorded: us-east-2a/p3.2xlarge"
  std::vector<std::string> assumptions;  // a line each: what was not given and is taken to be so
  sim::Window window;
  std::uint64_t seed = 1;
  Forecast forecast;
};

// "$12.40".
std::string formatUsd(double usd);
// "train: 48h of work within 60h".
std::string titleOf(const ForecastReport& report);
// A table, and how the costs of each policy lie.
std::string renderForecast(const Look& look, const ForecastReport& report);
// docs/simulate.md.
std::string toJson(const ForecastReport& report);
// A picture of the costs of each policy: SVG that needs no other file.
std::string toSvg(const ForecastReport& report);

}  // namespace buoy::cli
