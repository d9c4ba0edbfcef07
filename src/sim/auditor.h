#pragma once

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "sim/cloud.h"
#include "sim/core.h"
#include "sim/program.h"

namespace buoy::sim {

// Watches a run and writes down what is wrong (Core::problem). It trusts neither the engine nor the cloud:
// what the engine's ledger says is compared with the cloud's own bill, what it orders with what really runs.
class Auditor {
 public:
  explicit Auditor(Core& core) : core_(core) {}

  // ---- as it happens
  // A batch is durable; ids are looked up in `state`.
  void committed(const engine::State& state, const engine::Changes& changes);
  // A placement, shown again what its record says was known, must come out as it did.
  void checkDecision(const engine::Record& record, const engine::PlacementPolicy& policy);
  // The engine's latest word to a machine.
  void directed(MachineId machine, const engine::Directive& directive);
  void billed(MachineId machine, const Bill& bill);
  // The provider has said what is not true: this machine may go on while its job runs elsewhere.
  void denied(MachineId machine) { denied_.insert(machine.value); }
  // The provider's word that it does not make this machine has come. What a second call for it makes after
  // that is in nobody's ledger: the engine, which has given it up, ends it as soon as it is told of it.
  void refused(MachineId machine);
  // A machine with this attempt of the job has heard nothing for so long that it ends itself. No deadline
  // allows for the loss of on-demand machines.
  void deserted(JobId job, Epoch epoch, MachineId machine);
  void submitted(JobId job) { submitted_.insert(job.value); }
  void cancelled(JobId job) { cancelled_.insert(job.value); }
  // A process of the job begins, and ends, on a machine.
  void processBegins(JobId job, std::int32_t rank, Epoch epoch, MachineId machine);
  void processEnds(JobId job, std::int32_t rank, MachineId machine);
  // A machine works for a job from the directive it took to the result.
  void workBegins(JobId job, std::int32_t rank, Epoch epoch, MachineId machine);
  void workEnds(JobId job, MachineId machine);
  // A version was taken by the store.
  void versionCommitted(JobId job, Epoch epoch, std::uint64_t version, Duration done);
  void fenced(JobId job, Epoch epoch);
  void restored(JobId job, Epoch epoch, const std::optional<CheckpointWriter::Committed>& base);

  // ---- at the end, when everything has finished
  void checkEnd(const std::vector<std::pair<JobId, const Program*>>& programs);
  // How long a machine may go on after the engine has let it go; longer is a leak. Set before checkEnd.
  Duration leak_bound{60'000'000};
  // Nothing happens that a deadline gives way to: on-demand machines can be had and stay.
  bool promises = false;
  // Faults that excuse more: the control plane was away, the provider deaf.
  void excuse(Time from, Time until) { excuses_.push_back({from, until}); }
  // A price had changed by `by`, and the control plane did not know: the money of machines that ran meanwhile
  // may be wrong by so much, and no more.
  void priceUnknown(Time from, Time until, PricePerHour by) { unknown_prices_.push_back({from, until, by}); }
  void priceSeen(PricePerHour price) { highest_ = std::max(highest_, price); }
  // How late the provider's word may be without any fault: a piece that was closed in between stays as it is.
  Duration news_bound{};

  std::size_t jobsFinished() const { return jobs_finished_; }
  ExactCost billedTotal() const { return billed_total_; }
  ExactCost ledgerTotal() const { return ledger_total_; }

 private:
  struct Interval {
    Time from{}, until{};
  };
  struct MachineAccount {
    std::vector<Interval> covered;  // by spans, merged
    ExactCost spans = 0;
    bool has_bill = false;
    Bill bill;
    Time let_go{};  // releasing or gone in the engine; zero: not
    bool refused = false;
    bool on_demand = false;
    bool gone = false;
    Time heard_at{}, heard_from{};  // when the engine first knew that it is billed, and from when
    MachineId host;                 // it is a part, whose spans are its host's money
    bool shared = false;            // it has had parts
    Time parts_until{};             // the last instant that these have paid for
    // a part's room, and the host's, in milli-cpus and GPUs; what runs of the host's parts
    engine::Resources room{};
    std::set<MachineId> working;
  };
  struct JobAccount {
    bool finished = false;
    engine::JobPhase phase = engine::JobPhase::queued;  // it finished in
    bool limited = false;                               // by max_run or max_wait
    bool deserted = false;
    engine::Ledger ledger;  // sum of spans
    Epoch directed = 0, fence = 0;
    struct Version {
      std::uint64_t number = 0;
      Epoch epoch = 0;
      Duration done{};
    };
    std::vector<Version> versions;  // the newest, in order
    struct Worker {
      MachineId machine;
      std::int32_t rank = 0;
      Epoch epoch = 0;
      bool runs = false;
    };
    std::vector<Worker> workers;
  };

  static bool cover(std::vector<Interval>& covered, Interval span);
  void addSpan(const engine::Span& span);
  void checkJob(const engine::State& state, const engine::Job& job);
  void checkBudget(const engine::Job& job);
  void checkDeadline(const engine::Job& job);
  void checkMachine(const engine::State& state, const engine::Machine& machine);
  bool isDenied(MachineId machine) const;
  void notePart(const engine::State& state, const engine::Machine& machine);
  void checkRoom(const engine::State& state, MachineId host);
  void checkWorking(MachineId machine, bool begins);
  Duration excused(Time from, Time until) const;
  ExactCost tolerance(const MachineAccount& account) const;
  static bool madeInVain(const MachineAccount& account);
  bool settle(std::uint64_t id, const MachineAccount& account);
  void trySettle(std::uint64_t id);

  Core& core_;
  IdTable<MachineAccount> machines_;
  IdTable<JobAccount> jobs_;
  std::size_t jobs_finished_ = 0;
  std::set<std::uint64_t> submitted_, cancelled_, denied_;
  struct Unknown {
    Time from{}, until{};
    PricePerHour by;
  };
  std::vector<Interval> excuses_;
  std::vector<Unknown> unknown_prices_;
  PricePerHour highest_{};
  ExactCost billed_total_ = 0, ledger_total_ = 0;
};

}  // namespace buoy::sim
