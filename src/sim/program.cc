#include "sim/program.h"

#include <algorithm>

namespace buoy::sim {

Program::Run* Program::find(Epoch epoch) {
  for (Run& run : runs_) {
    if (run.epoch == epoch) return &run;
  }
  return nullptr;
}

Program::Run& Program::enter(Epoch epoch, MachineId member, std::optional<Duration> restored, Time now) {
  Run* run = find(epoch);
  if (!run) {
    runs_.push_back({});
    run = &runs_.back();
    run->epoch = epoch;
  }
  if (restored) run->done = *restored;
  run->members.push_back(member);
  run->whole = run->members.size() == machines;
  if (run->whole) run->since = now;
  return *run;
}

void Program::leave(Epoch epoch, MachineId member, Time now) {
  Run* const run = find(epoch);
  if (!run || std::erase(run->members, member) == 0) return;
  run->done = done(*run, now);
  furthest = std::max(furthest, run->done);
  run->whole = false;
  run->since = Time{};
  if (run->members.empty()) std::erase_if(runs_, [&](const Run& each) { return each.epoch == epoch; });
}

Duration Program::done(const Run& run, Time now) const {
  if (run.since == Time{}) return run.done;
  return std::min(run.done + (now - run.since), plan.work);
}

bool Program::failsNext(const Run& run) const {
  return failures_left > 0 && run.done < plan.fails_at && plan.fails_at < plan.work;
}

std::optional<Time> Program::endOf(const Run& run) const {
  if (run.since == Time{}) return std::nullopt;
  const Duration goal = failsNext(run) ? plan.fails_at : plan.work;
  return run.since + std::max(Duration{0}, goal - run.done);
}

}  // namespace buoy::sim
