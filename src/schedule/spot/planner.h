#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/synchronized.h"
#include "schedule/spot/availability_model.h"
#include "schedule/spot/plan.h"

namespace buoy::schedule::spot {

// What was learned of a market, and the last plans made on it, for every job there. Any thread.
class Planner {
 public:
  // Keeps at most so many plans, of up to 20 MiB each.
  explicit Planner(std::vector<History> learned, std::size_t capacity = 3);

  // Of so many places together; one: a place by itself. The reference stays valid.
  const AvailabilityModel& model(std::size_t places);
  // The chance that a place that is up stays up for so long, by its state. The reference stays valid; for a
  // few different times.
  const std::vector<double>& survival(Duration time);
  // The one that is kept, or it is solved now; by one thread, while others that want the same wait for it.
  std::shared_ptr<const Plan> plan(std::size_t places, const PlanProblem& problem);
  // How many plans were solved so far.
  std::size_t solved() const { return solved_; }

 private:
  struct Slot {
    std::once_flag once;
    std::shared_ptr<const Plan> plan;
  };
  struct Kept {
    std::size_t places;
    PlanProblem problem;
    std::shared_ptr<Slot> slot;
  };
  std::shared_ptr<Slot> slotFor(std::size_t places, const PlanProblem& problem);

  const std::vector<History> learned_;
  const std::size_t capacity_;
  std::atomic<std::size_t> solved_{0};
  Synchronized<std::map<std::size_t, std::unique_ptr<const AvailabilityModel>>> models_;
  Synchronized<std::map<Duration, std::vector<double>>> survivals_;
  Synchronized<std::vector<Kept>> kept_;  // the last used last
};

}  // namespace buoy::schedule::spot
