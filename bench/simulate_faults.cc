// simulate_faults: runs the engine through seeds of random worlds and faults in virtual time and checks that
// every promise is kept. A failure is told by its seed and the shortest list of happenings that shows it.
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "schedule/scheduler.h"
#include "sim/search.h"
#include "store/codec.h"

namespace {

using namespace buoy;

constexpr const char* kHelp =
    R"(usage: simulate_faults [--seeds N] [--from SEED] [--seconds N] [--jobs N] [--memory-store]
       simulate_faults --trace SEED [--whole]

  --seeds N       how many seeds (default 20000)
  --from SEED     the first one (default 1)
  --seconds N     stop after so long
  --jobs N        processes at once (default: one a core)
  --memory-store  keep copies of the engine's values instead of the real store's encoding
  --trace SEED    print everything that happens in the run of one seed, shortened if it fails
  --whole         with --trace: do not shorten
Exit code: 0 nothing was found, 1 a promise was broken, 2 wrong usage.
)";

struct Options {
  std::uint64_t seeds = 20'000, from = 1, trace = 0;
  unsigned seconds = 0, jobs = std::max(1u, std::thread::hardware_concurrency());
  bool memory_store = false, whole = false;
};

// What a real database would hold: every value goes through the store's encoding and back.
class EncodedStore final : public sim::Persistence {
 public:
  void commit(const engine::State& state, const engine::Changes& changes) override {
    for (const JobId id : changes.jobs) {
      const engine::Job& job = *state.job(id);
      next_job_ = std::max(next_job_, id.value + 1);
      if (engine::isTerminal(job.phase)) {
        jobs_.erase(id.value);
      } else {
        jobs_[id.value] = store::encodeJob(job);
      }
    }
    for (const MachineId id : changes.machines) {
      const engine::Machine& machine = *state.machine(id);
      next_machine_ = std::max(next_machine_, id.value + 1);
      if (machine.phase == engine::MachinePhase::gone) {
        machines_.erase(id.value);
      } else {
        machines_[id.value] = store::encodeMachine(machine);
      }
    }
    for (const std::string& name : changes.pools) pools_[name] = store::encodePool(*state.pool(name));
    for (const std::string& name : changes.queues) queues_[name] = store::encodeQueue(*state.queue(name));
  }
  void load(engine::State& state) const override {
    for (const auto& [id, text] : machines_) state.restore(store::decodeMachine(text).value());
    for (const auto& [id, text] : jobs_) state.restore(store::decodeJob(text).value());
    for (const auto& [name, text] : queues_) state.restore(store::decodeQueue(text).value());
    for (const auto& [name, text] : pools_) state.restore(store::decodePool(text).value());
    state.setNextIds(next_job_, next_machine_);
  }

 private:
  std::map<std::uint64_t, std::string> jobs_, machines_;
  std::map<std::string, std::string> pools_, queues_;
  std::uint64_t next_job_ = 1, next_machine_ = 1;
};

constexpr std::size_t kPlans = 24;  // most seeds find theirs solved
const schedule::Scheduler kPolicy(
    std::make_shared<schedule::spot::Planner>(std::vector<schedule::spot::History>{}, kPlans));

sim::SearchOptions searchOptions(const Options& options) {
  sim::SearchOptions search{.policy = &kPolicy, .store = {}};
  if (!options.memory_store) search.store = [] { return std::make_unique<EncodedStore>(); };
  return search;
}

bool parseNumber(const char* text, std::uint64_t& value) {
  const char* const end = text + std::strlen(text);
  return std::from_chars(text, end, value).ptr == end && end != text;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--memory-store") {
      options.memory_store = true;
    } else if (word == "--whole") {
      options.whole = true;
    } else {
      std::uint64_t value = 0;
      if (i + 1 >= argc || !parseNumber(argv[++i], value)) return false;
      if (word == "--seeds") {
        options.seeds = value;
      } else if (word == "--from") {
        options.from = value;
      } else if (word == "--seconds") {
        options.seconds = static_cast<unsigned>(value);
      } else if (word == "--jobs" && value > 0) {
        options.jobs = static_cast<unsigned>(value);
      } else if (word == "--trace") {
        options.trace = value;
      } else {
        return false;
      }
    }
  }
  return true;
}

int trace(const Options& options) {
  const sim::SearchOptions search = searchOptions(options);
  sim::Scenario scenario = sim::randomScenario(options.trace);
  const sim::RunResult first = sim::runScenario(scenario, search);
  if (!first.problems.empty() && !options.whole)
    scenario = sim::shrink(scenario, first.problems.front(), search).scenario;
  const auto store = search.store ? search.store() : std::make_unique<sim::MemoryStore>();
  sim::Simulation simulation(scenario, kPolicy, *store);
  std::printf("world: %s\n", sim::describeWorld(scenario).c_str());
  for (const sim::Happening& happening : scenario.happenings)
    std::printf("  %s\n", sim::describe(happening).c_str());
  simulation.watch([](const std::string& line) { std::printf("%s\n", line.c_str()); });
  const sim::RunResult result = simulation.run();
  std::printf("%s\n", result.problems.empty() ? "every promise was kept" : "a promise was broken");
  return result.problems.empty() ? 0 : 1;
}

struct Totals {
  std::uint64_t seeds = 0, steps = 0, machines = 0, crashes = 0, failures = 0;
};

// One process's share: every `jobs`-th seed.
Totals explore(const Options& options, unsigned share) {
  const auto begin = std::chrono::steady_clock::now();
  const sim::SearchOptions search = searchOptions(options);
  Totals totals;
  for (std::uint64_t i = share; i < options.seeds; i += options.jobs) {
    const auto spent = std::chrono::steady_clock::now() - begin;
    if (options.seconds > 0 && spent >= std::chrono::seconds{options.seconds}) break;
    const sim::Scenario scenario = sim::randomScenario(options.from + i);
    const sim::RunResult result = sim::runScenario(scenario, search);
    ++totals.seeds;
    totals.steps += result.steps;
    totals.machines += result.machines;
    totals.crashes += result.crashes;
    if (result.problems.empty()) continue;
    const sim::Shrunk shrunk = sim::shrink(scenario, result.problems.front(), search);
    const double found = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%s  (found and shortened after %.1f s)\n", sim::describeFailure(shrunk).c_str(), found);
    std::fflush(stdout);
    ++totals.failures;
    break;
  }
  return totals;
}

int search(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  int channel[2];
  if (::pipe(channel) != 0) return 2;
  for (unsigned share = 0; share < options.jobs; ++share) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child < 0) return 2;
    if (child > 0) continue;
    const Totals totals = explore(options, share);
    const bool told = ::write(channel[1], &totals, sizeof totals) == sizeof totals;
    std::fflush(stdout);
    ::_exit(told ? 0 : 1);
  }
  ::close(channel[1]);
  Totals sum, part;
  unsigned answers = 0;
  while (::read(channel[0], &part, sizeof part) == sizeof part) {
    ++answers;
    sum.seeds += part.seeds;
    sum.steps += part.steps;
    sum.machines += part.machines;
    sum.crashes += part.crashes;
    sum.failures += part.failures;
  }
  while (::wait(nullptr) > 0) {
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu seeds in %.1f s: %llu engine events, %llu machines, %llu crashes, %llu failures\n",
              static_cast<unsigned long long>(sum.seeds), took, static_cast<unsigned long long>(sum.steps),
              static_cast<unsigned long long>(sum.machines), static_cast<unsigned long long>(sum.crashes),
              static_cast<unsigned long long>(sum.failures));
  if (answers != options.jobs) std::printf("a process died: see above\n");
  return sum.failures == 0 && answers == options.jobs ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fputs(kHelp, stderr);
    return 2;
  }
  return options.trace > 0 ? trace(options) : search(options);
}
