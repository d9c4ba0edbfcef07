#include "control/hazard_book.h"

#include "store/codec.h"

namespace buoy::control {
namespace {

using engine::Machine;
using schedule::MachineLife;

constexpr int kMostLives = 5000;
constexpr Duration kGoodFor = std::chrono::minutes{1};

MachineLife lifeOf(const Machine& machine) {
  MachineLife life{machine.phase_since - machine.billed_from, MachineLife::End::given_back};
  if (machine.reclaim_asked) return life;  // nothing of the market
  if (machine.notice_deadline) {
    life.end = MachineLife::End::noticed;  // also of one that was given back in time
  } else if (machine.taken) {
    life.end = MachineLife::End::unnoticed;
  }
  return life;
}

}  // namespace

Status HazardBook::load(store::Store& store) {
  BUOY_TRY(const std::vector<store::MachineRow> rows, store.machines(kMostLives));
  for (const store::MachineRow& row : rows) {
    BUOY_TRY(const Machine machine, store::decodeMachine(row.record));
    note(machine);
  }
  return {};
}

void HazardBook::note(const Machine& machine) {
  if (machine.market != engine::Market::spot || machine.billed_from == Time{} || machine.host) return;
  Pool& pool = pools_[machine.pool];
  if (machine.phase != engine::MachinePhase::gone) {
    pool.running.emplace(machine.id, machine.billed_from);
    return;
  }
  pool.running.erase(machine.id);
  pool.ended.add(lifeOf(machine));
}

const schedule::Hazard& HazardBook::hazardOf(const Machine& machine, Time now) {
  static const schedule::Hazard never;
  if (machine.market != engine::Market::spot) return never;
  Pool& pool = pools_[machine.pool];
  if (pool.estimated != Time{} && now - pool.estimated < kGoodFor) return pool.estimate;
  schedule::HazardLearner learner = pool.ended;
  for (const auto& [id, since] : pool.running) learner.add({now - since, MachineLife::End::given_back});
  pool.estimate = learner.estimate();
  pool.estimated = now;
  return pool.estimate;
}

}  // namespace buoy::control
