#include "sim/control.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::sim {

Control::Control(Core& core, Options options, Persistence& persistence, Ports ports)
    : core_(core), options_(std::move(options)), persistence_(persistence), ports_(std::move(ports)) {}

// ---- what arrives

void Control::push(engine::Event&& event, MachineId from, std::uint32_t request) {
  inbox_.emplace_back(std::move(event), from, request);
  if (commit_planned_) return;
  commit_planned_ = true;
  core_.queue.push(core_.now + options_.commit, What::commit, life_);
}

void Control::receive(engine::Event event, std::uint32_t request) {
  if (!up_) return;
  push(std::move(event), MachineId{}, request);
}

bool Control::receiveFrom(MachineId machine, engine::Event&& event) {
  if (!up_) return true;
  if (!hub_.find(machine.value)) return false;
  push(std::move(event), machine, kNoRequest);
  return true;
}

// ---- a batch

void Control::step(Letter& letter) {
  if (letter.request != kNoRequest) {
    if (const auto before = done_requests_.find(letter.request); before != done_requests_.end()) {
      letter.reply = before->second;
      return;
    }
    for (const Letter& other : batch_) {
      if (&other == &letter) break;
      if (other.request != letter.request) continue;
      letter.reply = other.reply;
      return;
    }
  }
  engine::step(state_, letter.event, core_.now, options_.settings, *options_.policy, out_);
  ++steps_;
  if (letter.request != kNoRequest) letter.reply = out_.reply;
  ports_.stepped(&letter.event);
}

void Control::onCommit() {
  if (!up_ || !commit_planned_) return;
  commit_planned_ = false;
  batch_.swap(inbox_);
  for (Letter& letter : batch_) step(letter);
  if (const auto deadline = state_.nextDeadline(); deadline && *deadline <= core_.now) {
    const engine::Event tick = engine::Tick{};
    engine::step(state_, tick, core_.now, options_.settings, *options_.policy, out_);
    ++steps_;
    ports_.stepped(&tick);
  }
  finishBatch();
}

void Control::finishBatch() {
  if (dies(CrashPoint::before_commit)) return;
  persistence_.commit(state_, out_.changes);
  for (const Letter& letter : batch_) {
    if (letter.request == kNoRequest) continue;
    if (done_requests_.emplace(letter.request, letter.reply).second)
      ports_.done(letter.request, letter.reply);
  }
  ports_.committed(state_, out_.changes);
  if (dies(CrashPoint::after_commit)) return;
  carryOut();
  if (!up_ || dies(CrashPoint::before_replies)) return;
  engine::forget(state_, out_.changes);
  for (const Letter& letter : batch_) {
    if (letter.from) ports_.answered(letter.from, hub_.find(letter.from.value) != nullptr);
    if (letter.request != kNoRequest) ports_.replied(letter.request, letter.reply);
  }
  batch_.clear();
  out_.clear();
  planTick();
}

void Control::carryOut() {
  if (!options_.fast) {
    for (const MachineId id : out_.changes.machines) direct(id);
  }
  std::size_t left = out_.actions.size() / 2;
  for (const engine::Action& action : out_.actions) {
    if (left-- == 0 && dies(CrashPoint::amid_actions)) return;
    if (const auto* told = std::get_if<engine::DirectAgent>(&action)) {
      if (state_.machine(told->machine)) direct(told->machine);
    } else {
      ports_.act(action, state_);
    }
  }
  if (!options_.fast) return;
  for (const MachineId id : out_.changes.machines) {
    const engine::Machine* const machine = state_.machine(id);
    const bool gone = !machine || machine->phase == engine::MachinePhase::gone;
    if (gone || !hub_.find(id.value)) direct(id);
  }
}

void Control::direct(MachineId id) {
  const engine::Machine* const machine = state_.machine(id);
  if (!machine || machine->phase == engine::MachinePhase::gone) return hub_.erase(id.value);
  engine::Directive directive = engine::directiveFor(state_, id);
  Told* const before = hub_.find(id.value);
  if (before && before->directive == directive) return;
  Told& told = before ? *before : hub_.make(id.value);
  told.directive = std::move(directive);
  told.generation = ++generation_;
  ports_.directed(id);
}

// ---- time

void Control::planTick() {
  const auto deadline = state_.nextDeadline();
  if (!deadline || *deadline >= next_tick_) return;
  next_tick_ = std::max(*deadline, core_.now);
  core_.queue.push(next_tick_, What::tick, life_);
}

void Control::onTick() {
  if (core_.now < next_tick_) return;  // an earlier one was planned since
  next_tick_ = Time::max();
  if (!up_) return;
  const auto deadline = state_.nextDeadline();
  if (!deadline) return;
  if (*deadline > core_.now) return planTick();
  if (commit_planned_) return;  // the batch will tick
  commit_planned_ = true;
  onCommit();
}

// ---- crashes

void Control::crash(CrashPoint point, Duration away) {
  if (!up_) return;
  doomed_at_ = point;
  away_ = away;
  if (point == CrashPoint::idle) dies(CrashPoint::idle);
}

bool Control::dies(CrashPoint point) {
  if (doomed_at_ != point) return false;
  die();
  return true;
}

void Control::die() {
  core_.say([&] { return strCat({"control plane: dies, is away for ", formatDuration(away_)}); });
  doomed_at_.reset();
  up_ = false;
  ++life_;
  inbox_.clear();
  batch_.clear();
  out_.clear();
  hub_.clear();
  commit_planned_ = false;
  next_tick_ = Time::max();
  state_ = engine::State();
  ports_.crashed(away_);
  core_.queue.push(core_.now + away_, What::restart);
}

void Control::onRestart() {
  core_.say([] { return std::string("control plane: starts"); });
  up_ = true;
  persistence_.load(state_);
  state_.forEachMachine([&](const engine::Machine& machine) { direct(machine.id); });
  ports_.restarted(state_);
  engine::resume(state_, core_.now, options_.settings, *options_.policy, out_);
  ports_.stepped(nullptr);
  finishBatch();
}

}  // namespace buoy::sim
