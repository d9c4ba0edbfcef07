#include "sim/simulation.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "base/strings.h"

namespace buoy::sim {

using engine::Event;
using Kind = Happening::Kind;

namespace {

constexpr Time kBegin{std::chrono::hours{24 * 365 * 50}};
constexpr std::size_t kLatest = 64;
// How long a plan is solved.
constexpr Duration kSolvedMin = std::chrono::milliseconds{20}, kSolvedMax = std::chrono::seconds{3};

}  // namespace

Simulation::Simulation(const Scenario& scenario, const engine::PlacementPolicy& policy,
                       Persistence& persistence)
    : scenario_(scenario),
      policy_(policy),
      core_(scenario.seed),
      auditor_(core_),
      cloud_(core_, scenario.cloud, scenario.zones, cloudPorts()),
      control_(core_,
               {.settings = scenario.settings,
                .policy = &policy,
                .commit = scenario.commit,
                .fast = scenario.fast},
               persistence, controlPorts()),
      agents_(core_, scenario.agents, auditor_, agentPorts()) {
  core_.now = begin_ = quiet_at_ = kBegin;
}

void Simulation::watch(std::function<void(const std::string& line)> tell) {
  core_.tell = [this, tell = std::move(tell)](const std::string& line) {
    tell(strCat({formatTime(core_.now).substr(11, 12), " ", line}));
  };
}

// ---- how the parts are joined

Cloud::Ports Simulation::cloudPorts() {
  return {
      .tell =
          [this](Event event) {
            if (std::holds_alternative<engine::PriceChanged>(event)) return tellPrice(std::move(event));
            const Duration delay = core_.chance.between(scenario_.cloud.news_min, scenario_.cloud.news_max);
            const int copies = core_.now < core_.weather.doubled_until ? 2 : 1;
            for (int i = 0; i < copies; ++i)
              core_.queue.push(core_.now + delay, What::arrival, letters_.put({event, {}, core_.now}));
          },
      .boot = [this](MachineId machine) { agents_.boot(machine); },
      .notice = [this](MachineId machine, Time deadline) { agents_.noticed(machine, deadline); },
      .ended = [this](MachineId machine) { agents_.ended(machine); },
      .billed =
          [this](MachineId machine, const Bill& bill) {
            ++machines_;
            auditor_.billed(machine, bill);
          },
  };
}

Control::Ports Simulation::controlPorts() {
  return {
      .act = [this](const engine::Action& action, const engine::State& state) { act(action, state); },
      .directed =
          [this](MachineId machine) {
            auditor_.directed(machine, control_.current(machine)->directive);
            core_.queue.push(core_.now + core_.chance.between(scenario_.link.min, scenario_.link.max),
                             What::directive, machine.value);
          },
      .answered = [this](MachineId machine, bool known) { agents_.answered(machine, known); },
      .done = [this](std::uint32_t request, const engine::Reply& reply) { done(request, reply); },
      .replied = [this](std::uint32_t request, const engine::Reply& reply) { replied(request, reply); },
      .restarted =
          [this](const engine::State& state) {
            // What carries this cluster's mark and is in no record is ended.
            for (const MachineId machine : std::vector<MachineId>(cloud_.live())) {
              if (!state.machine(machine)) cloud_.terminate(machine);
            }
            cloud_.tellPrices();
          },
      .stepped =
          [this](const Event* event) {
            if (!event || !std::holds_alternative<engine::PriceChanged>(*event)) return;
            for (PendingPrice& price : pending_prices_) price.stepped = true;
          },
      .committed =
          [this](const engine::State& state, const engine::Changes& changes) {
            if (core_.tell) {
              for (const engine::Record& record : changes.records)
                core_.tell(strCat({"engine: ", record.kind, ": ", record.detail}));
            }
            if (!pending_prices_.empty()) pricesKnown();
            if (!scenario_.fast) {
              for (const engine::Record& record : changes.records) auditor_.checkDecision(record, policy_);
            }
            auditor_.committed(state, changes);
          },
      .crashed =
          [this](Duration away) {
            ++crashes_;
            auditor_.excuse(core_.now, core_.now + away + std::chrono::minutes{1});
            for (PendingPrice& price : pending_prices_) price.stepped = false;
          },
  };
}

Agents::Ports Simulation::agentPorts() {
  return {
      .send = [this](MachineId machine, Event&& event) { send(machine, std::move(event)); },
      .read = [this](MachineId machine) -> const Control::Told* {
        return control_.up() && !agents_.silent(machine) ? control_.current(machine) : nullptr;
      },
      .program = [this](JobId job) { return program(job); },
      .switch_off = [this](MachineId machine) { cloud_.switchedOff(machine); },
  };
}

void Simulation::act(const engine::Action& action, const engine::State& state) {
  if (const auto* launch = std::get_if<engine::LaunchMachine>(&action)) {
    if (const engine::Machine* const machine = state.machine(launch->machine)) cloud_.launch(*machine);
  } else if (const auto* ended = std::get_if<engine::TerminateMachine>(&action)) {
    cloud_.terminate(ended->machine);
  } else if (const auto* asked = std::get_if<engine::QueryMachine>(&action)) {
    cloud_.query(asked->machine);
  } else if (const auto* taken = std::get_if<engine::RequestReclaim>(&action)) {
    cloud_.reclaim(taken->machine, taken->notice);
  } else if (const auto* wanted = std::get_if<engine::SolvePlan>(&action)) {
    core_.queue.push(core_.now + core_.chance.between(kSolvedMin, kSolvedMax), What::plan,
                     wanted_.put(*wanted));
  }
}

Program* Simulation::program(JobId job) {
  return programs_.find(job.value);
}

// ---- the network

void Simulation::send(MachineId machine, Event&& event) {
  if (agents_.silent(machine)) return;
  const Weather& weather = core_.weather;
  if (core_.now < weather.lossy_until && core_.chance.oneIn(weather.lossy)) return;
  if (core_.now < weather.doubled_until) sendOnce(machine, Event(event));
  sendOnce(machine, std::move(event));
}

void Simulation::sendOnce(MachineId machine, Event&& event) {
  const Weather& weather = core_.weather;
  Duration delay = core_.chance.between(scenario_.link.min, scenario_.link.max);
  if (core_.now < weather.delayed_until) delay += core_.chance.between(Duration{0}, weather.delay);
  // What takes no time needs no place in the queue, unless its answer would come back in the midst of this.
  if (delay == Duration{0} && control_.current(machine)) return arrive(std::move(event), machine, core_.now);
  core_.queue.push(core_.now + delay, What::arrival, letters_.put({std::move(event), machine, core_.now}));
}

void Simulation::arrive(Event&& event, MachineId from, Time sent) {
  // Agents tell how long ago things were; the control plane counts back from the arrival.
  const Duration late = core_.now - sent;
  if (auto* const report = std::get_if<engine::AgentReport>(&event)) {
    for (auto& change : report->phases) change.at += late;
    report->committed_covers += late;
  } else if (auto* const notice = std::get_if<engine::NoticeReceived>(&event)) {
    notice->deadline += late;
  } else if (const auto* const refusal = std::get_if<engine::LaunchFailed>(&event)) {
    auditor_.refused(refusal->machine);
  }
  if (scenario_.people > Duration{0}) {
    if (latest_.size() < kLatest) latest_.emplace_back();
    latest_[latest_next_++ % kLatest] = {event, from, sent};
  }
  if (!from) return control_.receive(std::move(event));
  if (!control_.receiveFrom(from, std::move(event))) agents_.answered(from, false);
}

void Simulation::tellPrice(Event event) {
  const auto& price = std::get<engine::PriceChanged>(event);
  PricePerHour& known = told_prices_[price.pool + "/" + price.type];
  auditor_.priceSeen(price.spot_price);
  if (known != price.spot_price) {
    const PricePerHour by{std::abs(price.spot_price.nano_usd - known.nano_usd)};
    known = price.spot_price;
    pending_prices_.push_back({core_.now, by, false});
  }
  control_.receive(std::move(event));
}

void Simulation::pricesKnown() {
  std::erase_if(pending_prices_, [&](const PendingPrice& price) {
    if (price.stepped) auditor_.priceUnknown(price.since, core_.now, price.by);
    return price.stepped;
  });
}

// ---- the run

void Simulation::start() {
  cloud_.start();
  for (const engine::Pool& pool : cloud_.pools()) control_.receive(engine::PutPool{pool});
  for (const engine::Queue& queue : scenario_.queues) control_.receive(engine::PutQueue{queue});
  for (const engine::Pool& pool : cloud_.pools()) {
    for (const engine::MachineType& type : pool.types) auditor_.priceSeen(type.on_demand_price);
  }
  cloud_.tellPrices();
  for (const Happening& happening : scenario_.happenings) {
    quiet_at_ = std::max(quiet_at_, endOf(happening));
    if (happening.kind == Kind::submit) ++submits_left_;
  }
  upcoming_.resize(scenario_.happenings.size());
  std::iota(upcoming_.begin(), upcoming_.end(), std::size_t{0});
  std::stable_sort(upcoming_.begin(), upcoming_.end(), [this](std::size_t a, std::size_t b) {
    return scenario_.happenings[a].at < scenario_.happenings[b].at;
  });
  planHappening();
  if (scenario_.people > Duration{0}) core_.queue.push(begin_ + scenario_.people, What::people);
  end_by_ = quiet_at_ + progressBound();
  auditor_.leak_bound = leakBound();
  auditor_.promises = scenario_.promises;
  auditor_.news_bound = scenario_.cloud.news_max + scenario_.commit;
}

// One at a time: a hundred thousand in the queue would make everything else slow.
void Simulation::planHappening() {
  if (next_happening_ == upcoming_.size()) return;
  const std::size_t next = upcoming_[next_happening_++];
  core_.queue.push(begin_ + scenario_.happenings[next].at, What::happening, next);
}

RunResult Simulation::run() {
  start();
  while (!core_.queue.empty() && core_.problems.empty()) {
    const Due due = core_.queue.pop();
    core_.now = std::max(core_.now, due.at);
    if (core_.now > end_by_) {
      core_.problem(strCat({"not everything has finished ", formatDuration(core_.now - quiet_at_),
                            " after the last fault: ", std::to_string(control_.state().jobCount()), " jobs, ",
                            std::to_string(control_.state().machineCount()), " machines, ",
                            std::to_string(cloud_.liveCount()), " at the provider"}));
      break;
    }
    handle(due);
    if (submits_left_ == 0 && core_.now >= quiet_at_ && finished()) break;
  }
  if (core_.problems.empty()) {
    std::vector<std::pair<JobId, const Program*>> programs;
    programs_.forEach(
        [&](std::uint64_t id, const Program& each) { programs.emplace_back(JobId{id}, &each); });
    auditor_.checkEnd(programs);
    if (!finished()) core_.problem("nothing happens any more, and not everything has finished");
  }
  RunResult result;
  result.problems = core_.problems;
  result.steps = control_.steps();
  result.took = core_.now - begin_;
  result.machines = machines_;
  result.reclaims = cloud_.reclaims();
  result.crashes = crashes_;
  result.jobs_finished = auditor_.jobsFinished();
  result.billed = Money{static_cast<std::int64_t>(auditor_.billedTotal() / 3'600'000'000)};
  return result;
}

void Simulation::handle(const Due& due) {
  switch (due.what) {
    case What::happening:
      planHappening();
      return happen(scenario_.happenings[due.id]);
    case What::market:
      return cloud_.onMarket(due.id);
    case What::warning:
      return cloud_.onWarning(due.id);
    case What::call:
      return cloud_.onCall(due.id);
    case What::boot:
      return cloud_.onBoot(MachineId{due.id});
    case What::end:
      return cloud_.onEnd(MachineId{due.id});
    case What::agent:
      return agents_.onTime(MachineId{due.id});
    case What::directive:
      return agents_.directed(MachineId{due.id});
    case What::arrival: {
      Letter letter = letters_.take(due.id);
      return arrive(std::move(letter.event), letter.from, letter.sent);
    }
    case What::commit:
      return control_.onCommit();
    case What::tick:
      return control_.onTick();
    case What::restart:
      return control_.onRestart();
    case What::plan: {
      const engine::SolvePlan wanted = wanted_.take(due.id);
      return control_.receive(engine::PlanSolved{wanted.job, engine::planFor(policy_, *wanted.question)});
    }
    case What::people:
      return people();
  }
}

bool Simulation::finished() const {
  return control_.up() && unanswered_.empty() && control_.state().jobCount() == 0 &&
         control_.state().machineCount() == 0 && cloud_.liveCount() == 0;
}

// ---- users

void Simulation::submit(std::size_t index) {
  const auto request = static_cast<std::uint32_t>(index + 1);
  unanswered_[request] = index;
  control_.receive(engine::SubmitJob{scenario_.happenings[index].request}, request);
}

void Simulation::done(std::uint32_t request, const engine::Reply& reply) {
  const Happening& happening = scenario_.happenings[request - 1];
  if (!reply.job) return;
  Program& made = programs_.make(reply.job.value);
  made.plan = happening.plan;
  made.machines = static_cast<std::size_t>(happening.request.machines);
  made.main_decides = happening.request.main_decides;
  made.failures_left = happening.plan.failures;
}

void Simulation::replied(std::uint32_t request, const engine::Reply& reply) {
  const auto found = unanswered_.find(request);
  if (found == unanswered_.end()) return;
  const Happening& happening = scenario_.happenings[found->second];
  unanswered_.erase(found);
  if (happening.kind == Kind::open) {
    if (reply.accepted) held_until_[reply.machine.value] = core_.now + happening.lasting;
    return;
  }
  if (!reply.accepted) {
    // Launches may have been seen that take longer than the deadline allows for.
    const bool promised = happening.request.policy != engine::SpotRule::none && !scenario_.promises;
    if (!promised) core_.problem("a job is refused: " + reply.message);
    return;
  }
  jobs_.push_back(reply.job);
  auditor_.submitted(reply.job);
}

// What was not answered is asked again; what was opened is closed; after the last fault all is put right.
void Simulation::people() {
  if (core_.now >= quiet_at_ && !calm_) calmDown();
  if (control_.up()) {
    for (const auto& [request, index] : unanswered_) {
      const Happening& happening = scenario_.happenings[index];
      if (happening.kind == Kind::submit) {
        control_.receive(engine::SubmitJob{happening.request}, request);
      } else {
        happen(happening);
      }
    }
    control_.state().forEachJob([&](const engine::Job& job) {
      if (job.phase != engine::JobPhase::paused) return;
      // Twice as much as it was refused with, or has used up.
      std::int64_t& offered = offered_[job.id.value];
      offered = 2 * std::max(offered, job.request.budget.nano_usd);
      control_.receive(engine::ResumeJob{job.id, Money{offered}});
    });
    control_.state().forEachMachine([&](const engine::Machine& machine) {
      if (machine.holder.empty() || machine.phase == engine::MachinePhase::releasing) return;
      const auto until = held_until_.find(machine.id.value);
      if (calm_ || (until != held_until_.end() && core_.now >= until->second))
        control_.receive(engine::CloseMachine{machine.id});
    });
    if (calm_) {
      for (const engine::Pool& pool : cloud_.pools()) {
        const engine::Pool* const now = control_.state().pool(pool.name);
        if (now && !now->paused) continue;
        engine::Pool put = now ? *now : pool;
        put.paused = false;
        control_.receive(engine::PutPool{put});
      }
      for (const engine::Queue& queue : scenario_.queues) {
        const engine::Queue* const now = control_.state().queue(queue.name);
        if (!now || now->paused) control_.receive(engine::PutQueue{queue});
      }
    }
  }
  core_.queue.push(core_.now + scenario_.people, What::people);
}

void Simulation::calmDown() {
  core_.say([] { return std::string("the faults are over"); });
  calm_ = true;
  cloud_.calm();
}

}  // namespace buoy::sim
