#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/events.h"
#include "sim/auditor.h"
#include "sim/control.h"
#include "sim/core.h"
#include "sim/program.h"

namespace buoy::sim {

struct AgentTiming {
  Duration heartbeat{5'000'000};       // zero: none, for runs in which nothing is lost
  Duration orphan_after{900'000'000};  // without an answer; then it ends its machine
  Duration drain{10'000'000};          // at its end, for what the control plane does not have
  Duration store_retry{1'000'000};
  Duration setup_patience{600'000'000}, final_patience{20'000'000};  // with a store that does not answer
};

// The agents of all machines, as src/agent does it: they do what the newest directive says, tell what they
// have done so far with every report, restore the newest committed version before their fence, save from time
// to time and at the end, and go on when nobody can be reached.
class Agents {
 public:
  struct Ports {
    // To the control plane, over the network.
    std::function<void(MachineId machine, engine::Event&& event)> send;
    // The directive that a connected agent could read now; null: nobody answers.
    std::function<const Control::Told*(MachineId machine)> read;
    std::function<Program*(JobId job)> program;
    std::function<void(MachineId machine)> switch_off;
  };
  Agents(Core& core, AgentTiming timing, Auditor& auditor, Ports ports);

  // From the cloud.
  void boot(MachineId machine);
  void noticed(MachineId machine, Time deadline);
  void ended(MachineId machine);
  // From the control plane: there is a new directive; an answer to the last message.
  void directed(MachineId machine);
  void answered(MachineId machine, bool known);
  // What is due.
  void onTime(MachineId machine);

  // Faults.
  void silence(MachineId machine, Time until);
  bool silent(MachineId machine) const;
  void restart(MachineId machine);
  void makeUnfit(MachineId machine);

 private:
  enum class Stage : std::uint8_t { none, preparing, restoring, running, leaving, saving, done };
  struct Agent {
    MachineId id;
    Time wake_at = Time::max();
    // the link
    Time silent_until{}, last_answer{}, next_beat{};
    bool greeted = false;
    std::uint64_t seen = 0;                                 // generation of `wanted`
    std::uint64_t changes = 0, sent = 0, acknowledged = 0;  // of what it has to tell
    // the directive, and what is on the machine's disk
    std::optional<engine::Directive> wanted;
    JobId ended_job, begun_job;
    Epoch ended_epoch = 0, begun_epoch = 0;
    std::optional<Time> notice;
    bool ending = false, orphaned = false;
    std::optional<Time> off_at;
    // the assignment
    Stage stage = Stage::none;
    JobId job;
    Epoch epoch = 0;
    std::int32_t rank = 0;
    Duration grace{};
    Program* program = nullptr;
    std::vector<engine::AgentReport::PhaseChange> phases;
    std::uint64_t version = 0;
    Time covers{};
    std::optional<engine::MemberResult> result;
    CheckpointWriter writer;
    bool opened = false, stopping = false, was_whole = false;
    std::int32_t exit_code = 0;
    Time stage_end{}, give_up{}, kill_at{};
    std::optional<Time> breaks_at;
    Time next_save{};
    std::uint64_t saves_asked = 0;
    std::optional<Time> save_ends;
    Duration save_done{}, saved_done{};
    Time save_covers{};
    bool save_wanted = false;  // at the end there is something that is not saved
    // as a part, and as a machine that has some
    MachineId host;
    std::vector<MachineId> open, closed;
  };

  bool busy(const Agent& agent) const { return agent.stage != Stage::none && agent.stage != Stage::done; }
  void look(Agent& agent);
  bool advance(Agent& agent);  // one thing that is due; false: nothing is
  Time nextLook(const Agent& agent) const;
  void plan(Agent& agent);
  void poke(Agent& agent);
  void pokeRun(const Agent& agent);
  void report(Agent& agent);

  void follow(Agent& agent);
  void tendParts(Agent& agent);
  void closePart(Agent& agent, MachineId part);
  template <class Do>
  void forOpen(const Agent& agent, Do act);
  void reconcile(Agent& agent);
  void runJob(Agent& agent);
  void stopJob(Agent& agent);
  void begin(Agent& agent, const engine::Directive& directive);
  void enter(Agent& agent, engine::MemberPhase phase);
  void open(Agent& agent);
  void startProcess(Agent& agent);
  void leaveProcess(Agent& agent);
  void runs(Agent& agent);
  void periodicSave(Agent& agent);
  void exitBySelf(Agent& agent, std::int32_t code);
  void stop(Agent& agent, Duration grace);
  void terminate(Agent& agent, Time kill_at);
  void processEnded(Agent& agent);
  void finalSave(Agent& agent);
  void endWith(Agent& agent, engine::MemberResult::Kind kind, const char* why);
  void finish(Agent& agent, engine::MemberResult result);
  void end(Agent& agent);
  bool commits(const Agent& agent) const;
  CheckpointWriter::Answer commit(Agent& agent, Duration done, Time covers);

  Core& core_;
  const AgentTiming timing_;
  Auditor& auditor_;
  Ports ports_;
  IdTable<Agent> agents_;
};

}  // namespace buoy::sim
