#include "cli/forecast/forecast.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "base/strings.h"
#include "schedule/spot/policies.h"
#include "sim/optimum.h"

namespace buoy::cli {
namespace {

constexpr std::string_view kOnDemand = "on-demand";
constexpr std::size_t kPlans = 12;

double inUsd(Money money) {
  return static_cast<double>(money.nano_usd) / 1e9;
}

// The results of all starts, found by several threads: each start belongs to one of them.
class Runs {
 public:
  Runs(const ForecastRequest& request, std::vector<std::size_t> starts)
      : request_(request),
        planner_(std::make_shared<schedule::spot::Planner>(request.learned, kPlans)),
        starts_(std::move(starts)),
        optimum_(starts_.size()) {
    for (const sim::Trace& zone : request.zones) zones_.push_back(&zone);
    names_.emplace_back(kOnDemand);
    for (const std::string& name : request.policies) {
      if (name != kOnDemand) names_.push_back(name);
    }
    runs_.assign(names_.size(), std::vector<sim::WindowResult>(starts_.size()));
    every_ = (starts_.size() + kOptimumStarts - 1) / kOptimumStarts;
  }

  void run(const std::function<void(std::size_t, std::size_t)>& progress) {
    std::atomic<std::size_t> next{0}, done{0};
    const auto work = [&](bool tells) {
      for (std::size_t i = next++; i < starts_.size(); i = next++) {
        runStart(i);
        ++done;
        if (tells) progress(done, starts_.size());
      }
    };
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) others.emplace_back(work, false);
    work(true);
  }

  Forecast forecast() const {
    Forecast result{
        .starts = starts_.size(), .policies = {}, .on_demand = mean(runs_.front()), .optimum = {}};
    std::vector<double> known;
    for (const auto& optimum : optimum_) {
      if (optimum) known.push_back(inUsd(*optimum));
    }
    if (!known.empty()) result.optimum.emplace(known);
    for (std::size_t policy = 0; policy < names_.size(); ++policy) {
      const auto& wanted = request_.policies;
      if (std::find(wanted.begin(), wanted.end(), names_[policy]) != wanted.end())
        result.policies.push_back(of(policy, result.on_demand));
    }
    return result;
  }

 private:
  void runStart(std::size_t i) {
    sim::Window window = request_.window;
    window.start_tick = starts_[i];
    for (std::size_t policy = 0; policy < names_.size(); ++policy) {
      const auto decides = schedule::spot::makePolicy(names_[policy], planner_);
      BUOY_CHECK(decides.has_value());
      runs_[policy][i] = sim::replay(window, zones_, **decides);
    }
    if (!request_.optimum || i % every_ != 0) return;
    if (const auto optimum = sim::optimalCost(sim::simplified(window, zones_.front()->gap), zones_))
      optimum_[i] = *optimum;
  }

  static double mean(const std::vector<sim::WindowResult>& runs) {
    double sum = 0;
    for (const sim::WindowResult& run : runs) sum += inUsd(run.cost);
    return sum / static_cast<double>(runs.size());
  }

  PolicyForecast of(std::size_t policy, double on_demand) const {
    const auto& runs = runs_[policy];
    PolicyForecast result{.policy = names_[policy],
                          .outlook = sim::Outlook(runs),
                          .of_on_demand = mean(runs) / on_demand,
                          .of_optimum = {},
                          .within_budget = {}};
    double paid = 0, optimum = 0;
    std::size_t within = 0;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      within += runs[i].cost <= request_.budget ? 1 : 0;
      if (!optimum_[i]) continue;
      paid += inUsd(runs[i].cost);
      optimum += inUsd(*optimum_[i]);
    }
    if (optimum > 0) result.of_optimum = paid / optimum;
    if (request_.budget.nano_usd > 0)
      result.within_budget = static_cast<double>(within) / static_cast<double>(runs.size());
    return result;
  }

  const ForecastRequest& request_;
  std::shared_ptr<schedule::spot::Planner> planner_;
  std::vector<const sim::Trace*> zones_;
  std::vector<std::size_t> starts_;
  std::vector<std::string> names_;
  std::vector<std::vector<sim::WindowResult>> runs_;  // by policy and start
  std::vector<std::optional<Money>> optimum_;         // by start
  std::size_t every_ = 1;
};

}  // namespace

Result<Forecast> forecast(const ForecastRequest& request,
                          const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<const sim::Trace*> zones;
  for (const sim::Trace& zone : request.zones) zones.push_back(&zone);
  BUOY_TRY_VOID(sim::validate(request.window, zones));
  Runs runs(request, sim::startTicks(request.window, zones, request.starts, request.seed));
  runs.run(progress);
  return runs.forecast();
}

}  // namespace buoy::cli
