#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/agents.h"
#include "sim/auditor.h"
#include "sim/cloud.h"
#include "sim/control.h"
#include "sim/scenario.h"

namespace buoy::sim {

struct RunResult {
  std::vector<std::string> problems;  // empty: every promise was kept
  std::uint64_t steps = 0;            // events that the engine was given
  Duration took{};                    // virtual
  std::uint64_t machines = 0, reclaims = 0, crashes = 0;
  std::size_t jobs_finished = 0;
  Money billed;  // by the cloud; rounded down
};

// One run of a scenario, from its first instant until everything has finished and no machine is left. One
// thread; the same scenario and policy give the same run on every machine.
class Simulation {
 public:
  // All must outlive it.
  Simulation(const Scenario& scenario, const engine::PlacementPolicy& policy, Persistence& persistence);

  // Told everything that happens, a line each, with the time.
  void watch(std::function<void(const std::string& line)> tell);
  // Stops at the first problem.
  RunResult run();

 private:
  void start();
  void planHappening();
  void handle(const Due& due);
  void happen(const Happening& happening);
  void happenToMachine(const Happening& happening, MachineId machine);
  void happenToZone(const Happening& happening);
  void submit(std::size_t happening);
  void act(const engine::Action& action, const engine::State& state);
  void send(MachineId machine, engine::Event&& event);
  void people();
  void calmDown();
  bool finished() const;
  void tellPrice(engine::Event event);
  void pricesKnown();
  void done(std::uint32_t request, const engine::Reply& reply);
  void replied(std::uint32_t request, const engine::Reply& reply);
  Program* program(JobId job);
  Time endOf(const Happening& happening) const;
  Duration progressBound() const;
  Duration leakBound() const;
  Cloud::Ports cloudPorts();
  Control::Ports controlPorts();
  Agents::Ports agentPorts();

  struct Letter {
    engine::Event event;
    MachineId from;
    Time sent{};
  };
  void sendOnce(MachineId machine, engine::Event&& event);
  void arrive(engine::Event&& event, MachineId from, Time sent);

  struct PendingPrice {
    Time since{};
    PricePerHour by;
    bool stepped = false;
  };

  const Scenario& scenario_;
  const engine::PlacementPolicy& policy_;
  Core core_;
  Auditor auditor_;
  Cloud cloud_;
  Control control_;
  Agents agents_;
  Time begin_{}, quiet_at_{}, end_by_{};
  bool calm_ = false;
  Letters<Letter> letters_;
  Letters<engine::SolvePlan> wanted_;  // plans that are being solved
  std::vector<Letter> latest_;         // messages that arrived, for replays
  std::size_t latest_next_ = 0;
  IdTable<Program> programs_;                        // by job
  std::map<std::uint32_t, std::size_t> unanswered_;  // request to happening
  std::map<std::uint32_t, Time> opened_until_;       // by request
  std::map<std::uint64_t, Time> held_until_;         // by machine
  std::map<std::uint64_t, std::int64_t> offered_;    // to jobs that are paused: the last budget, in nano-USD
  std::vector<JobId> jobs_;                          // that were submitted and answered
  std::size_t submits_left_ = 0;
  std::vector<std::size_t> upcoming_;  // places in the scenario, in the order of time
  std::size_t next_happening_ = 0;     // in that
  std::vector<PendingPrice> pending_prices_;
  std::map<std::string, PricePerHour> told_prices_;
  std::uint64_t crashes_ = 0, machines_ = 0;
};

}  // namespace buoy::sim
