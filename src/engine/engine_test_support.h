#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

// What the engine's tests share: the simplest policy, and a world in which a test says what happens, step by
// step.
namespace buoy::engine::testing {

// Pools in order, spot first, the first type that is large enough.
class FirstFit final : public PlacementPolicy {
 public:
  Placement place(const PlacementRequest& request, std::span<const PoolView> pools, Time now) const override {
    Placement placement;
    for (const PoolView& view : pools) {
      for (const Market market : {Market::spot, Market::on_demand}) {
        const bool spot = market == Market::spot;
        if (spot ? request.spot == SpotPreference::never : request.spot == SpotPreference::only) continue;
        if (spot ? !view.pool->spot : !view.pool->on_demand) continue;
        for (const MachineType& type : view.pool->types)
          consider(request, view, market, type, now, placement);
      }
    }
    return placement;
  }

  // Spot while there is any and enough time to begin on-demand after it is lost, with what is lost then.
  SpotDecision steer(SpotRule rule, const SpotView& view) const override {
    const SpotDecision on_demand{.take = Holding::on_demand, .reason = "time is short"};
    const Duration spare = view.time_left - view.work_left - view.changeover - view.step;
    const bool works = view.holding == Holding::spot && view.changeover_left == Duration{0};
    const SpotDecision stay{.take = Holding::spot, .candidate = view.held, .reason = "it works"};
    if (view.at_risk > Duration{0} && spare + view.step < view.at_risk) return on_demand;
    if (works && rule != SpotRule::on_demand) return stay;
    if (rule == SpotRule::on_demand || spare < view.changeover + view.step) return on_demand;
    if (view.holding == Holding::spot) return stay;
    for (std::size_t i = 0; i < view.candidates.size(); ++i) {
      if (view.candidates[i].up()) return {.take = Holding::spot, .candidate = i, .reason = "spot is up"};
    }
    return {.take = Holding::nothing, .reason = "there is time"};
  }

 private:
  static void consider(const PlacementRequest& request, const PoolView& view, Market market,
                       const MachineType& type, Time now, Placement& placement) {
    const bool spot = market == Market::spot;
    const std::int32_t idle = spot ? view.idle_spot : view.idle_on_demand;
    const bool launches = idle < request.count;
    std::string rejected;
    if (type.resources.milli_cpus < request.resources.milli_cpus ||
        type.resources.gpus < request.resources.gpus) {
      rejected = "too small";
    } else if (view.pool->paused) {
      rejected = "paused";
    } else if (idle + std::int64_t{view.free} < request.count) {
      rejected = "full";
    } else if (launches && (now < view.pool->retry_at || (spot && now < view.pool->spot_retry_at))) {
      rejected = "backing off";
    } else if (launches && (spot ? view.trial_spot : view.trial_on_demand)) {
      rejected = "trial";
    } else if (!placement.pool) {
      placement.pool = view.pool;
      placement.type = &type;
      placement.market = market;
    }
    placement.candidates.push_back({view.pool->name, type.name, market,
                                    spot ? type.spot_price : type.on_demand_price, 0, std::move(rejected)});
  }
};

inline Pool poolOf(std::string name, std::int32_t max_machines = 0) {
  Pool pool;
  pool.name = std::move(name);
  pool.provider = "test";
  pool.types = {{"small", {.milli_cpus = 1000, .gpus = 0, .memory = {}}, {1'000'000'000}, {300'000'000}},
                {"large", {.milli_cpus = 8000, .gpus = 1, .memory = {}}, {8'000'000'000}, {2'400'000'000}}};
  pool.max_machines = max_machines;
  return pool;
}

// A state and a clock. Every method sends one event; `out` collects since the last take().
struct World {
  State state;
  Settings settings;
  FirstFit policy;
  Outcome out;
  Time now{std::chrono::hours{24 * 365 * 50}};
  std::vector<Span> spans;
  std::vector<Record> records;

  World() {
    settings.lease = std::chrono::seconds{15};
    send(PutPool{poolOf("p")});
    take();
  }

  const Reply& send(const Event& event) {
    step(state, event, now, settings, policy, out);
    return out.reply;
  }
  void wait(Duration by) { now += by; }
  // Lets time pass as the control plane does: a tick at every deadline until `by` is over.
  void pass(Duration by) {
    const Time end = now + by;
    while (const auto deadline = state.nextDeadline()) {
      if (*deadline > end) break;
      now = std::max(now, *deadline);
      send(Tick{});
    }
    now = end;
    send(Tick{});
  }
  // The actions since the last call; what is durable by then is forgotten.
  std::vector<Action> take() {
    spans.insert(spans.end(), out.changes.spans.begin(), out.changes.spans.end());
    records.insert(records.end(), out.changes.records.begin(), out.changes.records.end());
    forget(state, out.changes);
    std::vector<Action> actions = std::move(out.actions);
    out.clear();
    return actions;
  }
  template <class A>
  std::vector<A> takeAll() {
    std::vector<A> result;
    for (Action& action : take()) {
      if (A* const match = std::get_if<A>(&action)) result.push_back(*match);
    }
    return result;
  }

  JobId submit(JobRequest request = {}) {
    if (request.name.empty()) request.name = "job";
    return send(SubmitJob{std::move(request)}).job;
  }
  void up(MachineId machine) {
    send(LaunchSucceeded{machine, "ref-" + machine.toString(), "10.0.0." + std::to_string(machine.value)});
    send(AgentConnected{machine, ""});
  }
  // A report of the running epoch: the member has come to `phase`, at this instant.
  const Reply& report(MachineId machine, MemberPhase phase,
                      std::optional<MemberResult> result = std::nullopt) {
    const Machine& at = *state.machine(machine);
    return reportAs(machine, at.job, at.epoch, phase, std::move(result));
  }
  const Reply& reportAs(MachineId machine, JobId job, Epoch epoch, MemberPhase phase,
                        std::optional<MemberResult> result = std::nullopt) {
    return send(AgentReport{machine, job, epoch, {{phase, now}}, 0, {}, std::move(result)});
  }
  const Reply& committed(MachineId machine, std::uint64_t version, Time covers) {
    const Machine& at = *state.machine(machine);
    return send(AgentReport{machine, at.job, at.epoch, {}, version, covers, std::nullopt});
  }
  const Reply& exited(MachineId machine, std::int32_t code = 0) {
    return report(machine, MemberPhase::done, MemberResult{MemberResult::Kind::exited, code, ""});
  }
  const Reply& stopped(MachineId machine) {
    return report(machine, MemberPhase::done, MemberResult{MemberResult::Kind::stopped, 143, ""});
  }
  Directive directive(MachineId machine) const { return directiveFor(state, machine); }
  const Job& job(JobId id) const { return *state.job(id); }
  bool hasRecord(std::string_view kind) {
    take();
    for (const Record& record : records) {
      if (record.kind == kind) return true;
    }
    return false;
  }
  Duration total(Use use, MachineId machine = {}) {
    take();
    Duration sum{};
    for (const Span& span : spans) {
      if (span.use == use && (!machine || span.machine == machine)) sum += span.end - span.begin;
    }
    return sum;
  }
};

constexpr MachineId m(std::uint64_t id) {
  return MachineId{id};
}

// A job that runs on m1, in attempt 1.
inline JobId runOne(World& world, JobRequest request = {}) {
  const JobId job = world.submit(std::move(request));
  world.up(m(1));
  world.report(m(1), MemberPhase::running);
  world.take();
  return job;
}

// A gang of three that runs on m1, m2 and m3.
inline JobId runGang(World& world, JobRequest request = {}) {
  request.machines = 3;
  const JobId job = world.submit(std::move(request));
  for (const MachineId id : {m(1), m(2), m(3)}) world.up(id);
  for (const MachineId id : {m(1), m(2), m(3)}) world.report(id, MemberPhase::running);
  world.take();
  return job;
}

}  // namespace buoy::engine::testing
