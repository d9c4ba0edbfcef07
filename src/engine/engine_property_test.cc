#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <random>

#include "engine/engine_model_test_support.h"

namespace buoy::engine::testing {

// ---- what must hold after every step

void Model::checkStep() {
  std::map<std::pair<std::uint64_t, std::int32_t>, MachineId> running;
  std::map<std::string, std::int32_t> used;
  state_.forEachMachine([&](const Machine& machine) {
    if (machine.phase != MachinePhase::gone) ++used[machine.pool];
    const Directive directive = directiveFor(state_, machine.id);
    if (directive.kind != Directive::Kind::run) return;
    const auto [other, first] = running.try_emplace({directive.job.value, directive.rank}, machine.id);
    if (!first) problem(directive.job.toString() + " is directed to two machines at once");
    if (!machine.holder.empty()) problem(machine.id.toString() + " is held and given to a job");
  });
  state_.forEachJob([&](const Job& job) {
    for (const Attempt* const attempt : {job.current.get(), job.next.get()}) {
      if (!attempt) continue;
      if (isTerminal(job.phase)) problem(job.id.toString() + " has finished and has an attempt");
      if (attempt->epoch > job.epoch) problem(job.id.toString() + " has an attempt of the future");
      for (const Member& member : attempt->members) {
        const Machine* const machine = state_.machine(member.machine);
        const bool over = member.phase == MemberPhase::done || !member.machine;
        if (!over && (!machine || machine->job != job.id)) {
          problem(job.id.toString() + " counts on " + member.machine.toString() + ", which is not its own");
        }
      }
    }
    if (job.next && !job.current) problem(job.id.toString() + " has a next attempt and no current one");
  });
  state_.forEachMachine([&](const Machine& machine) {
    const Pool* const pool = state_.pool(machine.pool);
    if (pool && pool->max_machines > 0 && used[machine.pool] > pool->max_machines) {
      problem("pool " + machine.pool + " has more machines than it may");
    }
    if (!machine.job) return;
    const Job* const job = state_.job(machine.job);
    bool member = false;
    for (const Attempt* const attempt :
         {job ? job->current.get() : nullptr, job ? job->next.get() : nullptr}) {
      if (!attempt) continue;
      for (const Member& each : attempt->members) member = member || each.machine == machine.id;
    }
    if (!member) problem(machine.id.toString() + " belongs to a job that does not know it");
  });
}

void Model::checkDirective(MachineId id, const Directive& directive) {
  if (directive.kind != Directive::Kind::run) return;
  Epoch& newest = directed_epoch_[directive.job.value];
  if (directive.epoch < newest) problem(id.toString() + " is directed to run an old epoch");
  newest = std::max(newest, directive.epoch);
  for (const auto& [other, instance] : instances_) {
    const bool works = instance.alive && instance.job == directive.job && instance.phase != MemberPhase::done;
    if (works && instance.epoch < directive.epoch) {
      problem(directive.job.toString() + " is started again while m" + std::to_string(other) +
              " still works on it");
    }
  }
}

// ---- what must hold at the end

void Model::checkLedger() {
  std::map<std::uint64_t, std::vector<Span>> by_machine;
  std::map<std::uint64_t, Ledger> by_job;
  for (const Span& span : spans_) {
    by_machine[span.machine.value].push_back(span);
    if (!span.job) continue;
    Ledger& ledger = by_job[span.job.value];
    ledger.time[static_cast<std::size_t>(span.use)] += span.end - span.begin;
    ledger.cost[static_cast<std::size_t>(span.use)] += cost(span.price, span.end - span.begin);
  }
  for (const auto& [id, machine] : machines_) {
    std::vector<Span>& spans = by_machine[id];
    if (machine.billed_from == Time{}) {
      if (!spans.empty()) problem("m" + std::to_string(id) + " was never billed and has spans");
      continue;
    }
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
    Time at = machine.billed_from;
    for (const Span& span : spans) {
      if (span.begin != at) problem("the spans of m" + std::to_string(id) + " do not touch");
      if (span.end <= span.begin) problem("m" + std::to_string(id) + " has an empty span");
      at = span.end;
    }
    if (at != machine.phase_since) problem("the spans of m" + std::to_string(id) + " do not end with it");
  }
  for (const auto& [id, job] : jobs_) {
    const Ledger ledger = job.ledger ? *job.ledger : Ledger{};
    if (ledger.time != by_job[id].time || ledger.cost != by_job[id].cost) {
      problem("the ledger of j" + std::to_string(id) + " is not the sum of its spans");
    }
  }
}

void Model::checkTheEnd() {
  for (const std::uint64_t id : submitted_) {
    if (finished_[id] != 1)
      problem("j" + std::to_string(id) + " finished " + std::to_string(finished_[id]) + " times");
  }
  for (const auto& [id, machine] : machines_) {
    if (machine.phase != MachinePhase::gone) problem("m" + std::to_string(id) + " was left behind");
  }
  for (const auto& [id, instance] : instances_) {
    if (instance.alive) problem("the provider still has m" + std::to_string(id));
  }
  checkLedger();
}

}  // namespace buoy::engine::testing

namespace buoy::engine {
namespace {

std::vector<std::uint32_t> choicesOf(std::uint64_t seed, std::size_t length) {
  std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
  std::vector<std::uint32_t> choices(length);
  for (std::uint32_t& choice : choices) choice = static_cast<std::uint32_t>(random()) >> 2;
  return choices;
}

// No job is lost or finishes twice, none runs twice at once, no machine is left behind or counted twice,
// whatever is repeated, reordered, late or forgotten in a crash. A failure is told by its seed and the
// shortest length that shows it.
TEST(EngineProperty, HoldsItsPromisesWhateverHappens) {
  EXPECT_TRUE(rc::check("the engine keeps its promises", [] {
    const auto seed = *rc::gen::noShrink(rc::gen::arbitrary<std::uint32_t>());
    const auto length = *rc::gen::inRange<std::size_t>(20, 3000);
    testing::Model model(choicesOf(seed, length));
    model.chaos();
    const bool calm = model.calmDown();
    if (model.problems().empty()) model.checkTheEnd();
    RC_CLASSIFY(model.crashes() > 0, "with crashes");
    RC_CLASSIFY(model.submitted() >= 10, "with ten jobs or more");
    if (!model.problems().empty()) RC_FAIL(model.problems().front());
    RC_ASSERT(calm);
  }));
}

}  // namespace
}  // namespace buoy::engine
