#include "schedule/spot/planners.h"

#include <algorithm>
#include <iterator>

namespace buoy::schedule::spot {
namespace {

constexpr std::size_t kMostPlanners = 4;
constexpr std::size_t kPlansEach = 2;  // beside those that jobs hold

}  // namespace

std::shared_ptr<Planner> LearningPlanners::of(std::span<const engine::SpotSource> sources) {
  {
    auto kept = kept_.lock();
    const auto found = std::find_if(kept->begin(), kept->end(), [&](const Kept& each) {
      return std::equal(each.sources.begin(), each.sources.end(), sources.begin(), sources.end());
    });
    if (found != kept->end()) {
      std::rotate(found, found + 1, kept->end());
      return kept->back().planner;
    }
  }
  // Two threads may learn the same at once: both are right.
  std::vector<History> learned;
  for (const engine::SpotSource& source : sources) {
    std::vector<History> said = recall_(source);
    std::move(said.begin(), said.end(), std::back_inserter(learned));
  }
  auto planner = std::make_shared<Planner>(std::move(learned), kPlansEach);
  auto kept = kept_.lock();
  if (kept->size() >= kMostPlanners) kept->erase(kept->begin());
  kept->push_back({{sources.begin(), sources.end()}, planner});
  return planner;
}

}  // namespace buoy::schedule::spot
