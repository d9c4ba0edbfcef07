#include "sim/search.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::sim {

namespace {

constexpr int kMostRuns = 2000;

// One failing scenario on its way to a shorter one.
class Shrinker {
 public:
  Shrinker(Scenario scenario, std::string problem, const SearchOptions& options)
      : options_(options), kind_(kindOf(problem)), best_{std::move(scenario), std::move(problem), 0} {}

  Shrunk run() {
    bool better = true;
    while (better && best_.runs < kMostRuns) {
      better = leaveOut();
      better = simplifyWorld() || better;
      for (std::size_t i = 0; i < best_.scenario.happenings.size(); ++i) better = simplify(i) || better;
    }
    return best_;
  }

 private:
  // Keeps the candidate if it still fails in the same way.
  bool accept(Scenario candidate) {
    if (best_.runs >= kMostRuns) return false;
    ++best_.runs;
    const RunResult result = runScenario(candidate, options_);
    if (result.problems.empty() || kindOf(result.problems.front()) != kind_) return false;
    best_.scenario = std::move(candidate);
    best_.problem = result.problems.front();
    return true;
  }

  bool leaveOut() {
    bool any = false;
    for (std::size_t length = std::max<std::size_t>(1, best_.scenario.happenings.size() / 2);;) {
      bool removed = false;
      for (std::size_t from = 0; from < best_.scenario.happenings.size();) {
        Scenario candidate = best_.scenario;
        auto& list = candidate.happenings;
        const std::size_t until = std::min(from + length, list.size());
        list.erase(list.begin() + static_cast<std::ptrdiff_t>(from),
                   list.begin() + static_cast<std::ptrdiff_t>(until));
        if (accept(std::move(candidate))) {
          removed = any = true;
        } else {
          from += length;
        }
      }
      if (length == 1 && !removed) return any;
      if (length > 1) length /= 2;
    }
  }

  // `change` makes the candidate simpler, or leaves it as it is.
  template <class Change>
  bool attempt(Change change) {
    Scenario candidate = best_.scenario;
    return change(candidate) && accept(std::move(candidate));
  }
  template <class T>
  static bool put(T& field, const T& simple) {
    if (field == simple) return false;
    field = simple;
    return true;
  }

  bool simplifyWorld() {
    bool any = false;
    const auto world = [&](auto change) { any = attempt(change) || any; };
    const auto calm_market = std::make_shared<SteppedMarket>(Offer{100, {300'000'000}});
    for (std::size_t i = 0; i < best_.scenario.zones.size(); ++i) {
      world([&](Scenario& candidate) {
        auto& market = candidate.zones[i].market;
        if (!market->nextChange(Time{})) return false;
        market = calm_market;
        return true;
      });
    }
    world([](Scenario& candidate) { return put(candidate.settings.idle_timeout, Duration{}); });
    world([](Scenario& candidate) { return put(candidate.cloud.notice, Duration{}); });
    world([](Scenario& candidate) { return put(candidate.commit, Duration{}); });
    return any;
  }

  bool simplify(std::size_t index) {
    bool any = false;
    const auto happening = [&](auto change) {
      any = attempt([&](Scenario& candidate) { return change(candidate.happenings[index]); }) || any;
    };
    const Happening& now = best_.scenario.happenings[index];
    if (now.kind == Happening::Kind::submit) {
      happening([](Happening& each) { return put(each.at, Duration{}); });
      happening([](Happening& each) { return put(each.request.machines, 1); });
      happening([](Happening& each) { return put(each.request.resources, engine::Resources{}); });
      happening([](Happening& each) { return put(each.request.queue, std::string("default")); });
      happening([](Happening& each) { return put(each.request.pools, {}); });
      happening([](Happening& each) { return put(each.request.priority, 0); });
      happening([](Happening& each) { return put(each.request.max_run, Duration{}); });
      happening([](Happening& each) { return put(each.request.max_wait, Duration{}); });
      happening([](Happening& each) { return put(each.request.retry_failures, 0); });
      happening([](Happening& each) { return put(each.request.budget, Money{}); });
      happening([](Happening& each) { return put(each.plan.failures, 0u); });
      happening([](Happening& each) { return put(each.plan.breaks_with_peer, false); });
      happening([](Happening& each) { return put(each.request.main_decides, false); });
      happening([](Happening& each) { return put(each.plan.save_every, Duration{60'000'000}); });
      happening([](Happening& each) { return put(each.plan.prepare, Duration{}); });
      happening([](Happening& each) { return put(each.plan.leave, Duration{}); });
    } else {
      happening([](Happening& each) { return put(each.pick, 0u); });
      if (now.lasting > Duration{1'000'000})
        happening([](Happening& each) { return put(each.lasting, Duration{1'000'000}); });
    }
    return any;
  }

  const SearchOptions& options_;
  const std::string kind_;
  Shrunk best_;
};

}  // namespace

RunResult runScenario(const Scenario& scenario, const SearchOptions& options) {
  const std::unique_ptr<Persistence> store =
      options.store ? options.store() : std::make_unique<MemoryStore>();
  return Simulation(scenario, *options.policy, *store).run();
}

std::string kindOf(const std::string& problem) {
  std::string kind;
  for (std::size_t i = 0; i < problem.size(); ++i) {
    const char c = problem[i];
    if (c == '(') break;
    const bool digit = c >= '0' && c <= '9';
    if (!digit) {
      kind += c;
    } else if (kind.empty() || kind.back() != '#') {
      kind += '#';
    }
  }
  if (const auto lasting = kind.find("finished #"); lasting != std::string::npos) kind.resize(lasting);
  if (const auto lasting = kind.find("went on for"); lasting != std::string::npos) kind.resize(lasting);
  return kind;
}

Shrunk shrink(Scenario scenario, const std::string& problem, const SearchOptions& options) {
  return Shrinker(std::move(scenario), problem, options).run();
}

std::string describeFailure(const Shrunk& shrunk) {
  std::string text = strCat({"seed ", std::to_string(shrunk.scenario.seed), ": ", shrunk.problem,
                             "\n  world: ", describeWorld(shrunk.scenario), "\n"});
  for (const Happening& happening : shrunk.scenario.happenings)
    text += strCat({"  ", describe(happening), "\n"});
  text += strCat({"  (the shortest list that was found, in ", std::to_string(shrunk.runs), " runs)\n"});
  return text;
}

}  // namespace buoy::sim
