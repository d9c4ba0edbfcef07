#pragma once

#include <map>
#include <memory>
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

  // Several places seen as one.
  struct Group {
    AvailabilityModel model;
    double handovers = 0;  // an hour: what is held is lost while another place is up
  };
  // Of so many places; one: a place by itself. The reference stays valid.
  const Group& group(std::size_t places);
  std::shared_ptr<const Plan> plan(const Group& group, const PlanProblem& problem);

 private:
  struct Kept {
    const Group* group;
    PlanProblem problem;
    std::shared_ptr<const Plan> plan;
  };
  const std::vector<History> learned_;
  const std::size_t capacity_;
  Synchronized<std::map<std::size_t, std::unique_ptr<const Group>>> groups_;
  Synchronized<std::vector<Kept>> kept_;  // the last used last
};

}  // namespace buoy::schedule::spot
