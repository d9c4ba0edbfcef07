#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/synchronized.h"
#include "engine/spot_policy.h"
#include "schedule/spot/planner.h"

namespace buoy::schedule::spot {

// Planners by what they have learned from. Any thread.
class Planners {
 public:
  virtual ~Planners() = default;
  // May take long, where it has to be learned.
  virtual std::shared_ptr<Planner> of(std::span<const engine::SpotSource> sources) = 0;
};

// One that has learned all it will, whatever is asked about.
class OnePlanner final : public Planners {
 public:
  explicit OnePlanner(std::shared_ptr<Planner> planner) : planner_(std::move(planner)) {}
  std::shared_ptr<Planner> of(std::span<const engine::SpotSource>) override { return planner_; }

 private:
  std::shared_ptr<Planner> planner_;
};

// One for each list of sources; the last few are kept, with some plans each.
class LearningPlanners final : public Planners {
 public:
  // What a source says: the same whenever it is asked again. Any thread; may block.
  using Recall = std::function<std::vector<History>(const engine::SpotSource&)>;
  explicit LearningPlanners(Recall recall) : recall_(std::move(recall)) {}

  std::shared_ptr<Planner> of(std::span<const engine::SpotSource> sources) override;

 private:
  struct Kept {
    std::vector<engine::SpotSource> sources;
    std::shared_ptr<Planner> planner;
  };
  const Recall recall_;
  Synchronized<std::vector<Kept>> kept_;  // the last used last
};

}  // namespace buoy::schedule::spot
