#include "schedule/spot/planner.h"

#include <algorithm>

#include "schedule/spot/group.h"

namespace buoy::schedule::spot {

Planner::Planner(std::vector<History> learned, std::size_t capacity)
    : learned_(std::move(learned)), capacity_(capacity) {}

const Planner::Group& Planner::group(std::size_t places) {
  auto groups = groups_.lock();
  std::unique_ptr<const Group>& group = (*groups)[places];
  if (!group && places <= 1) {
    group = std::make_unique<const Group>(Group{AvailabilityModel::learn(learned_), 0});
  } else if (!group) {
    const Groups seen = groupsOf(learned_, places);
    group = std::make_unique<const Group>(Group{AvailabilityModel::learn(seen.histories), seen.handovers});
  }
  return *group;
}

std::shared_ptr<const Plan> Planner::plan(const Group& group, const PlanProblem& problem) {
  {
    auto kept = kept_.lock();
    const auto found = std::find_if(kept->begin(), kept->end(), [&](const Kept& each) {
      return each.group == &group && each.problem == problem;
    });
    if (found != kept->end()) {
      std::rotate(found, found + 1, kept->end());
      return kept->back().plan;
    }
  }
  auto plan = std::make_shared<const Plan>(group.model, problem);
  auto kept = kept_.lock();
  if (kept->size() >= capacity_) kept->erase(kept->begin());
  kept->push_back({&group, problem, plan});
  return plan;
}

}  // namespace buoy::schedule::spot
