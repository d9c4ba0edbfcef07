#include "schedule/spot/planner.h"

#include <algorithm>

#include "schedule/spot/group.h"

namespace buoy::schedule::spot {

Planner::Planner(std::vector<History> learned, std::size_t capacity)
    : learned_(std::move(learned)), capacity_(capacity) {}

const AvailabilityModel& Planner::model(std::size_t places) {
  auto models = models_.lock();
  auto& one = (*models)[1];
  if (!one) one = std::make_unique<const AvailabilityModel>(AvailabilityModel::learn(learned_));
  if (places <= 1) return *one;
  auto& group = (*models)[places];
  if (!group) group = std::make_unique<const AvailabilityModel>(learnGroup(*one, learned_, places));
  return *group;
}

const std::vector<double>& Planner::survival(Duration time) {
  const AvailabilityModel& one = model(1);
  auto survivals = survivals_.lock();
  std::vector<double>& chances = (*survivals)[time];
  if (chances.empty()) chances = one.survival(std::max(time, Duration{1}), {});
  return chances;
}

std::shared_ptr<Planner::Slot> Planner::slotFor(std::size_t places, const PlanProblem& problem) {
  auto kept = kept_.lock();
  const auto found = std::find_if(kept->begin(), kept->end(), [&](const Kept& each) {
    return each.places == places && each.problem == problem;
  });
  if (found != kept->end()) {
    std::rotate(found, found + 1, kept->end());
    return kept->back().slot;
  }
  if (kept->size() >= capacity_) kept->erase(kept->begin());
  kept->push_back({places, problem, std::make_shared<Slot>()});
  return kept->back().slot;
}

std::shared_ptr<const Plan> Planner::plan(std::size_t places, const PlanProblem& problem) {
  const std::shared_ptr<Slot> slot = slotFor(places, problem);
  std::call_once(slot->once, [&] {
    slot->plan = std::make_shared<const Plan>(model(places), problem);
    ++solved_;
  });
  return slot->plan;
}

}  // namespace buoy::schedule::spot
