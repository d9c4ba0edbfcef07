#pragma once

#include <array>
#include <vector>

#include "base/units.h"

namespace buoy::schedule {

// How likely machines of a pool are to be taken, by how long they have lived. Spot machines that have just
// come go soonest: a table of ages, not one rate. Plain value; pure.
struct Hazard {
  struct Step {
    Duration from{};      // of machines at least this old, up to the next step
    double per_hour = 0;  // reclaims, with notice or without
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps;  // ascending; empty: never taken
  double unnoticed = 1;     // the part of the reclaims that comes without a notice

  double perHour(Duration age) const;
  // The age at which perHour changes next; Duration::max(): it does not any more.
  Duration nextStep(Duration age) const;
  // Of machines that are replaced whenever they are taken, on the long run: one over the mean life.
  double meanPerHour() const;
  bool operator==(const Hazard&) const = default;
};

// What is assumed of spot machines of which nothing is known. Source: first halves of five recorded series of
// one p3.2xlarge in AWS (the artifact of SkyNomad, NSDI '27), reclaims an hour by age, rounded; without a
// notice one in twenty: AWS gives notices on a best-effort basis and publishes no figure.
Hazard usualSpotHazard();

// How a machine's life went.
struct MachineLife {
  enum class End { given_back, noticed, unnoticed };  // given_back: also of one that still lives
  Duration lived{};
  End end = End::given_back;
};

// Learns from machines' lives. What is assumed weighs as much as kPrior reclaims in each step, so few lives
// change little and many all (the mean of a gamma posterior over a Poisson rate, and of a beta posterior over
// the part without notice). Not thread-safe.
class HazardLearner {
 public:
  static constexpr double kPrior = 3;

  void add(const MachineLife& life);
  Hazard estimate() const;

 private:
  static constexpr std::size_t kSteps = 8;
  std::array<double, kSteps> hours_{};
  std::array<double, kSteps> reclaims_{};
  double noticed_ = 0, unnoticed_ = 0;
};

}  // namespace buoy::schedule
