#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "sim/agents.h"
#include "sim/cloud.h"
#include "sim/control.h"
#include "sim/program.h"

namespace buoy::sim {

// One thing that is done to the world: by a user, or a fault. What a number means, the kind says; where one
// chooses among machines or jobs, it is taken modulo how many there are at that moment.
struct Happening {
  enum class Kind : std::uint8_t {
    submit,         // `request`, `plan`
    cancel,         // the `pick`-th job that was submitted
    reclaim,        // a user asks for a reclaim of machine `pick`, with a notice of `lasting`
    take,           // the market takes machine `pick`, with a notice of `lasting`; `detail`: Cloud::Warned
    silence,        // the agent on machine `pick` and the control plane do not reach each other
    crash,          // of the control plane at `detail`: CrashPoint
    launches_fail,  // zone `pick`; `detail`: LaunchError
    slow,           // zone `pick`: everything takes ten times as long
    mute,           // zone `pick`: the provider's word is lost
    dead_boots,     // zone `pick`: machines come up without an agent
    delay,          // messages take up to `detail` milliseconds
    lossy,          // one message in `detail` is lost
    doubled,        // messages and calls arrive twice
    replay,         // the `pick`-th of the latest messages arrives again
    store_out,      // the checkpoint store does not answer
    agent_restart,  // on machine `pick`
    unfit,          // machine `pick` has lost its disk
    denied,         // the provider says that machine `pick` is gone, which is not true
    pause_pool,     // zone `pick`
    put_queue,      // "urgent" gets priority `pick`, and is paused meanwhile
    open,           // a user opens a machine in zone `pick`, and closes it after `lasting`
    warned,         // the market's reclaims are told as `detail` says (Cloud::Warned)
  };
  Kind kind = Kind::submit;
  Duration at{};       // from the beginning
  Duration lasting{};  // of what has an end
  std::uint32_t pick = 0, detail = 0;
  engine::JobRequest request;
  JobPlan plan;
};

struct LinkTiming {
  Duration min{1'000}, max{20'000};  // a message between an agent and the control plane
};

// Everything that a run follows from.
struct Scenario {
  std::uint64_t seed = 0;
  engine::Settings settings;
  CloudTiming cloud;
  AgentTiming agents;
  LinkTiming link;
  Duration commit{1'000};
  std::vector<Zone> zones;
  std::vector<engine::Queue> queues;
  std::vector<Happening> happenings;
  // How often users look after what they have begun, and ask again what was not answered; zero: never, for
  // runs in which nothing is lost.
  Duration people{5'000'000};
  bool fast = false;  // Control::Options::fast
  // Only the market and crashes disturb it: every deadline is to be met.
  bool promises = false;
};

// A small world with a few jobs, and faults of every kind, chosen by the seed.
Scenario randomScenario(std::uint64_t seed);

std::string_view toString(Happening::Kind kind);
// "at 1m 3s: crash (after_commit) for 4s".
std::string describe(const Happening& happening);
// The settings that differ from run to run, on one line.
std::string describeWorld(const Scenario& scenario);

}  // namespace buoy::sim
