// simulate_scale: how fast the simulator and the engine in it are. A market of 20 zones with 10,000 machines,
// 30 days, 100,000 jobs, everything from one seed; every promise is checked as in simulate_faults. Prints
// events a second of processor time, and what memory it took.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include "schedule/spot_first.h"
#include "sim/random.h"
#include "sim/simulation.h"

namespace {

using namespace buoy;
using namespace std::chrono_literals;

constexpr Time kBegin{std::chrono::hours{24 * 365 * 50}};

struct Size {
  int zones = 20, machines = 500;  // in each zone
  int days = 30, jobs = 100'000;
  bool prices_move = true;  // each change closes a piece of the ledger of every machine in its zone
};

// Capacity moves every quarter of an hour, the price every hour.
std::shared_ptr<const sim::Market> marketOf(sim::Random& random, const Size& size) {
  std::vector<sim::SteppedMarket::Step> steps;
  std::int32_t capacity = size.machines;
  std::int64_t price = 1'000'000'000;
  for (Duration at{}; at < size.days * 24h; at += 15min) {
    capacity += static_cast<std::int32_t>(
        random.between(std::int64_t{-size.machines} / 20, std::int64_t{size.machines} / 20));
    capacity = std::clamp(capacity, size.machines / 2, size.machines);
    if (size.prices_move && at % 1h == 0h)
      price = std::clamp<std::int64_t>(price + random.between(-50'000'000, 50'000'000), 500'000'000,
                                       2'000'000'000);
    steps.push_back({kBegin + at, {capacity, {price}}});
  }
  return std::make_shared<sim::SteppedMarket>(std::move(steps));
}

engine::Pool poolOf(const std::string& name, const Size& size) {
  engine::Pool pool;
  pool.name = name;
  pool.provider = "sim";
  pool.types = {{"gpu", {.milli_cpus = 8000, .gpus = 1, .memory = {}}, {3'060'000'000}, {1'000'000'000}}};
  pool.max_machines = size.machines;
  pool.on_demand = false;
  return pool;
}

sim::Scenario scenarioOf(const Size& size) {
  sim::Random random(1);
  sim::Scenario scenario;
  scenario.seed = 1;
  scenario.fast = true;
  scenario.people = Duration{};
  scenario.commit = Duration{};
  scenario.link = {Duration{}, Duration{}};
  scenario.agents.heartbeat = Duration{};  // nothing is lost: leases end after the run
  scenario.settings.lease = (size.days + 30) * 24h;
  scenario.settings.idle_timeout = 5min;
  for (int i = 0; i < size.zones; ++i)
    scenario.zones.push_back({poolOf("zone-" + std::to_string(100 + i), size), marketOf(random, size)});
  scenario.queues = {{.name = "default"}};
  for (int i = 0; i < size.jobs; ++i) {
    sim::Happening submit;
    submit.at = random.between(Duration{}, Duration{(size.days - 5) * 24h});
    submit.request.name = "job-" + std::to_string(i);
    submit.request.spot = engine::SpotPreference::only;
    submit.request.machines = random.oneIn(20) ? 4 : 1;
    for (int k = 0; k < 3; ++k) {
      const auto zone = static_cast<std::size_t>((i + k * 7) % size.zones);
      submit.request.pools.push_back(scenario.zones[zone].pool.name);
    }
    sim::JobPlan& plan = submit.plan;
    plan.work = 10min + random.exponential(30h);
    plan.save_every = 30min;
    scenario.happenings.push_back(std::move(submit));
  }
  return scenario;
}

long residentMiB() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

int measure(const char* what, const Size& size) {
  const sim::Scenario scenario = scenarioOf(size);
  const schedule::SpotFirst policy;
  sim::NoStore store;
  const std::clock_t begin = std::clock();
  sim::Simulation simulation(scenario, policy, store);
  const sim::RunResult result = simulation.run();
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  for (const std::string& problem : result.problems) std::printf("PROBLEM: %s\n", problem.c_str());
  std::printf("%s: %d machines, %d jobs, %.1f days: %llu engine events, %llu machines made, %llu reclaims\n",
              what, size.zones * size.machines, size.jobs,
              std::chrono::duration<double>(result.took).count() / 86400,
              static_cast<unsigned long long>(result.steps), static_cast<unsigned long long>(result.machines),
              static_cast<unsigned long long>(result.reclaims));
  std::printf("  %.1f s of processor time, %.0f engine events a second, %ld MiB\n", took,
              static_cast<double>(result.steps) / took, residentMiB());
  return result.problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : "";
  if (argc > 2 || (!only.empty() && only != "room" && only != "market")) {
    std::fputs("usage: simulate_scale [room|market]\n", stderr);
    return 2;
  }
  if (only == "market") return measure("a market, hourly prices", {});
  const int small = measure("flat prices, room for all",
                            {.zones = 3, .machines = 500, .days = 30, .jobs = 5000, .prices_move = false});
  if (only == "room") return small;
  return small | measure("a market, hourly prices", {});
}
