#pragma once

#include <optional>

#include "cli/rehearse/result.h"

namespace buoy::cli {

// When to take the machine, and how: chosen from how long the undisturbed run took and when it saved, and
// from what the running job has done so far. Pure; not thread-safe.
class Striker {
 public:
  struct Options {
    Duration notice{};       // zero: as long as the scenario allows
    double earliest = 0.35;  // part of the undisturbed run
  };
  Striker(Scenario scenario, const RehearsedRun& reference, Options options);

  struct Order {
    Duration notice{};
    bool mid_save = false;
  };
  // What to do now; nullopt: nothing yet. `saving`: files of the checkpoint directory are being written at
  // this moment. An order is given once.
  std::optional<Order> next(const RehearsedRun& so_far, engine::JobPhase phase, Time now, bool saving);
  // From now on it matters whether a save is under way: the caller must look closely.
  bool awaitsSave(const RehearsedRun& so_far, engine::JobPhase phase, Time now) const;
  bool finished() const { return struck_ == wanted_; }

 private:
  bool ripe(const RehearsedRun& so_far, engine::JobPhase phase, Time now) const;
  Duration notice() const;

  const Scenario scenario_;
  const Options options_;
  Duration length_{};  // of the undisturbed run
  Duration begin_{};   // strikes come between these, after the start of the process
  Duration end_{};
  Duration gap_{};  // between two saves
  bool saves_ = false;
  int wanted_ = 1, struck_ = 0;
};

}  // namespace buoy::cli
