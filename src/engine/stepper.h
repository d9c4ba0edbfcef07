#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/state_impl.h"

// One step of the engine, and what its parts share. Private to src/engine; the parts are jobs.cc,
// attempts.cc, reports.cc, machines.cc, parts.cc, scheduling.cc, shares.cc, stuck.cc, race.cc, steering.cc,
// budget.cc, ledger.cc and step.cc.
//
// Rules that hold between any two steps:
// - A machine with a job is a member of that job's current or next attempt; a machine of a directed member is
// assigned
//   or, when its end was forced, releasing.
// - A job that is not finished and not being stopped has an attempt that runs, forms, or it waits in a
// bucket.
// - Machine::use is `useful` exactly while its member's process runs: that time is provisional and goes to
// the
//   member's `held` when it closes. Every other use is final and becomes a Span when it closes.
namespace buoy::engine {

class Stepper {
 public:
  Stepper(State::Impl& state, Time now, const Settings& settings, const PlacementPolicy& policy, Outcome& out)
      : s_(state), now_(now), settings_(settings), policy_(policy), out_(out) {}

  void handle(const Event& event);
  void resume();

 private:
  // Events. Unknown ids and repeated or late events change nothing.
  void on(const SubmitJob& event);
  void on(const CancelJob& event);
  void on(const SaveJob& event);
  void on(const ResumeJob& event);
  void on(const ReclaimMachine& event);
  void on(const OpenMachine& event);
  void on(const CloseMachine& event);
  void on(const PutPool& event);
  void on(const ContainersChanged& event);
  void on(const PutQueue& event);
  void on(const RemovePool& event);
  void on(const RemoveQueue& event);
  void on(const LaunchSucceeded& event);
  void on(const LaunchFailed& event);
  void on(const MachineGone& event);
  void on(const MachineAlive& event);
  void on(const PriceChanged& event);
  void on(const AgentConnected& event);
  void on(const LeaseRenewed& event);
  void on(const PartClosed& event);
  void on(const NoticeReceived& event);
  void on(const AgentReport& event);
  void on(const PlanSolved& event);
  void on(const Tick& event);

  // step.cc: the end of a step
  void settle();
  void refuse(ErrorCode code, std::string message);
  void runTimers();

  // Shares of queues (shares.cc).
  void account(JobSlot& slot);  // what it holds may have changed
  void saveUse(QueueSlot& slot);
  void recount(QueueSlot& slot);
  void rankShares(QueueSlot& slot);
  void rewake(const QueueSlot& slot);
  void notePassed(const Bucket& first);  // the head of this bucket is placed before others of its queue

  // Jobs that will get nothing (stuck.cc).
  void noteStuck(JobSlot& slot, const std::vector<PoolSlot*>& pools);
  void noteStuck(JobSlot& slot, StuckFor why);
  const StuckLimit* stuckLimit(const JobSlot& slot) const;  // that ends it; null: none
  void cancelStuck(JobSlot& slot, const StuckLimit& limit);

  // Bookkeeping (records.cc).
  void touch(JobSlot& slot);
  void touch(MachineSlot& slot);
  void touch(PoolSlot& slot);
  void touch(QueueSlot& slot);
  void retime(JobSlot& slot);        // its deadline is looked at again; nothing durable has changed
  void redirect(MachineSlot& slot);  // its directive may have changed: sent once, at the end of the step
  // What is shown to the policy, to be kept with its answer; taken before the answer is carried out.
  std::shared_ptr<Record::Decision> decisionOn(const PlacementRequest& request,
                                               std::span<const PoolView> views);
  Record& record(std::string_view kind, std::string detail);
  Record& record(std::string_view kind, std::string detail, const Job& job, MachineId machine = {});
  Record& record(std::string_view kind, std::string detail, const Machine& machine);

  // Jobs (jobs.cc).
  void enterPhase(JobSlot& slot, JobPhase phase, Time at, std::string reason);
  void stopJob(JobSlot& slot, StopReason reason, std::string why);
  void seekNothing(JobSlot& slot);
  void saveAndStop(JobSlot& slot, StopReason reason, std::string_view kind, std::string why);
  void finish(JobSlot& slot, JobPhase phase, std::string reason);
  void jobTimer(JobSlot& slot);
  static std::optional<Time> attemptEnd(const Job& job);
  bool promisable(const JobRequest& request);  // else it has refused
  std::optional<Time> jobDeadline(const JobSlot& slot) const;
  void askToSave(JobSlot& slot, std::string why);
  std::optional<Time> forcedEnd(const Member& member, const Job& job) const;

  // Attempts (attempts.cc).
  void advance(JobSlot& slot);  // something may have become possible: looked at before the step ends
  void proceed(JobSlot& slot);  // does it: concludes the attempt that ended, starts the gang that is whole
  void direct(JobSlot& slot);
  void conclude(JobSlot& slot);
  void keepAttempt(JobSlot& slot, const Member& told, std::string reason);
  void retire(JobSlot& slot);  // the current attempt is over, the next one takes its place
  void interrupt(JobSlot& slot, std::string_view why, StopReason reason = StopReason::peer_lost);
  void formNext(JobSlot& slot);                   // from the machines that survive, or from none
  void assemble(JobSlot& slot);                   // the same, now
  void dissolve(JobSlot& slot);                   // gives up the forming attempt
  void vacate(JobSlot& slot, MachineId machine);  // the forming attempt loses this machine
  void fillVacancies(JobSlot& slot);
  void leaveVacant(JobSlot& slot);  // no longer waits for one rank
  void stopMember(JobSlot& slot, Member& member, StopReason reason);
  void stopPeers(JobSlot& slot, StopReason reason);
  void dismiss(JobSlot& slot, Attempt& attempt, const Attempt* except);  // machines go back to the pool
  void waitForPlacement(JobSlot& slot);

  // Arrays (arrays.cc) and jobs that wait for others (dependencies.cc).
  JobSlot& makeTask(JobSlot& parent, std::uint32_t index);
  JobSlot& takeTask(JobSlot& parent);
  void failTask(JobSlot& parent, std::uint32_t index, JobPhase phase, std::string why);
  void noteTask(const Job& task);
  void stopTasks(JobSlot& parent, StopReason reason, const std::string& why);
  void cancelTask(JobSlot& parent, const CancelJob& event);
  std::vector<JobId> dependentsOf(JobId job) const;
  void beginWaiting(JobSlot& slot, JobId failed_dependency);
  void failGated(JobSlot& slot);
  void release(const Job& ended);

  // Members' reports and losses (reports.cc).
  Member* memberOf(const MachineSlot& machine, JobSlot** job = nullptr);  // of the current, directed attempt
  void enterMemberPhase(JobSlot& slot, MachineSlot& machine, Member& member, MemberPhase phase, Time at);
  void commit(JobSlot& slot, Member& member, const AgentReport& report);
  void finishMember(JobSlot& slot, MachineSlot& machine, Member& member, MemberResult result);
  void loseMember(JobSlot& slot, MachineSlot& machine, Member& member, std::string detail);
  void loseMachine(MachineSlot& machine, std::string detail);  // its job goes on without it
  void noticeMember(JobSlot& slot, MachineSlot& machine, Member& member);
  void verifyFailure(JobSlot& slot, Member& member);
  void endWithMain(JobSlot& slot);
  void askPeers(JobSlot& slot);
  void confirmFailure(JobSlot& slot);
  void leaveRunning(JobSlot& slot, Time at);

  // Machines (machines.cc).
  MachineSlot& launch(PoolSlot& pool, const MachineType& type, Market market);
  void enterPhase(MachineSlot& slot, MachinePhase phase);
  void startBilling(MachineSlot& slot, Time since = {});
  void connected(MachineSlot& slot);
  void assign(MachineSlot& slot, const Job& job, Epoch epoch, std::int32_t rank);
  void makeIdle(MachineSlot& slot);
  void release(MachineSlot& slot, std::string why);  // takes it from its job
  void forceEnd(MachineSlot& slot,
                std::string why);  // its member still runs: the job keeps it until it is gone
  void terminate(MachineSlot& slot);
  void giveBack(MachineSlot& slot);  // idle if it can serve others, else released
  void hear(MachineSlot& slot);      // its agent spoke
  void machineTimer(MachineSlot& slot);
  Duration idleTimeout(const Machine& machine) const;  // how long it is kept when nobody waits for it
  bool isLeast(const Machine& machine) const;          // one of those that its pool keeps in any case
  void keepLeast(PoolSlot& pool);                      // launches what is missing of them
  std::optional<Time> machineDeadline(const Machine& machine, Time next_query) const;
  void noteLaunchFailure(PoolSlot& pool, Market market, LaunchError error, const std::string& message);
  void noteLaunchSuccess(PoolSlot& pool, Market market);
  void launchFailed(MachineSlot& slot, LaunchError error, const std::string& message);
  void setAddress(MachineSlot& slot, const std::string& address);
  void bootFailed(MachineSlot& slot);
  std::string knownOfSiblings(const PoolSlot& pool) const;
  // With what they were before, machines that do not cost that, but what the provider said, keep their price.
  void setPrices(PoolSlot& pool, const MachineType& type, Time since = {},
                 const MachineType* before = nullptr);
  void setPrice(MachineSlot& slot, PricePerHour price, PricePerHour on_demand_price, Time since);
  // The provider gave another type than was asked for, or says what it costs where it is.
  void becomeType(MachineSlot& slot, const std::string& name, PricePerHour price);

  // Parts of machines (parts.cc).
  MachineSlot* hostFor(PoolSlot& pool, const Resources& need, Market market);  // null: none has room
  MachineSlot& openPart(MachineSlot& host, const Resources& need);
  void hostUp(MachineSlot& host);
  void endPart(MachineSlot& slot, GoneReason reason, std::string detail, Time until);
  void endParts(MachineSlot& host, GoneReason reason, const std::string& detail, Time until);
  void leaveHost(MachineSlot& slot);  // a part that is gone
  void leaveSilentHost(const MachineSlot& slot);
  void pricePart(MachineSlot& slot, const Machine& host, PricePerHour before);

  // Placement (scheduling.cc).
  void schedule();
  void fillWoken();  // ranks that wait for a pool go before whole gangs
  Bucket* nextBucket();
  void makeRoom(PoolSlot& pool, const Job& job);
  bool examine(Bucket& bucket);
  void startAttempt(JobSlot& slot, const Placement& placement, std::shared_ptr<Record::Decision> decision);
  void fill(JobSlot& slot, Attempt& attempt, Placement placement, std::shared_ptr<Record::Decision> decision);
  MachineSlot* takeIdle(PoolSlot& pool, const Resources& resources, Market market);  // null: none fits
  MachineSlot& take(PoolSlot& pool, const Job& job, const Placement& placement);     // launched if need be

  // Races (race.cc).
  void beginRace(JobSlot& slot, Attempt& attempt);  // asks for rivals, if the job wants any
  bool winRace(MachineSlot& slot, JobId raced);     // this machine is up; false: another one was
  bool promoteRival(JobSlot& slot, Attempt& attempt, Member& member);  // in the place of one that is lost
  void endRace(JobSlot& slot, Attempt& attempt, const std::string& why);

  // Jobs with a deadline (steering.cc).
  SpotQuestion questionOf(JobSlot& slot);
  void addPlaces(SpotQuestion& question, const JobSlot& slot, const PoolSlot* held);
  Market marketOf(const Attempt& attempt) const;
  void steer(JobSlot& slot);
  void askForPlan(JobSlot& slot, const SpotQuestion& question);
  void dropPlans();
  void recordSteered(JobSlot& slot, SpotQuestion question, const SpotDecision& decision,
                     const std::string& pool);
  void saveInTime(JobSlot& slot, const SpotQuestion& question);
  bool suits(const Job& job, const Attempt& attempt) const;  // it is what the policy wants
  static bool suits(const Job& job, const Machine& machine);
  void pursue(JobSlot& slot);
  void moveOver(JobSlot& slot);
  void noteSaved(JobSlot& slot, Time covered);
  void noteSetup(JobSlot& slot, Time at);
  void noteLaunchTime(PoolSlot& slot, Duration took);
  void noteSpot(PoolSlot& slot, bool up);
  void noteLife(const MachineSlot& slot);
  void noteMarket(PoolSlot& slot, MarketEvent event);

  // Budgets (budget.cc).
  struct Spending {
    Money spent;        // with what is not in the ledger yet
    Money reserve;      // for the end of all of its machines
    PricePerHour rate;  // of all of its machines
  };
  template <class Visit>
  void forEachMachineOf(const Job& job, Visit visit) const;
  Money reserveFor(const JobRequest& request, PricePerHour all, Duration least) const;
  Spending spendingOf(const Job& job) const;
  std::optional<Time> budgetEnd(const Job& job) const;  // when it has to be paused
  bool affords(const Job& job, const Placement& placement) const;
  void pause(JobSlot& slot);

  // Ledger (ledger.cc).
  void closeSpan(MachineSlot& slot, Time at);
  void emitRest(MachineSlot& slot, JobSlot* job, std::uint32_t attempt, Use use, HeldTime piece);
  void cutHeld(MachineSlot& slot, Time until);  // the machine had ended by then
  void turn(MachineSlot& slot, Use use, Time at);
  void emitSpan(MachineId machine, JobSlot* job, std::uint32_t attempt, Use use, const HeldTime& piece);
  // What its pool's BillingRule makes of all of its time, which ended at `until`.
  void settleBill(MachineSlot& slot, Time until, bool taken_back);
  void freeParts(MachineSlot& slot, Time until);  // the same for what its parts hold back
  void settleEnd(MachineSlot& slot, const MachineGone& event, const std::string& detail, Time until);
  void noteCharge(MachineId machine, const Charge& piece);
  void charge(MachineSlot& slot, const Charge& amount, Time at);
  void settleUseful(JobSlot& slot, Time covered);
  void settleRest(JobSlot& slot, Use use);

  State::Impl& s_;
  const Time now_;
  const Settings& settings_;
  const PlacementPolicy& policy_;
  Outcome& out_;
};

Ledger& ledgerOf(Job& job);
// What a policy is shown of a pool, for machines of this size.
PoolView viewOf(const State::Impl& state, const PoolSlot& pool, const Resources& resources);
PoolView viewFor(const State::Impl& state, const PoolSlot& pool, const JobRequest& request);
// Its main machine's process has ended well, and decides: whatever becomes of the others.
bool isDecided(const Job& job);
// Null: the pool has it no more.
const MachineType* typeOf(const Pool& pool, const std::string& name);
// How many parts of this size fit beside each other into what is left.
std::int64_t fitting(const Resources& all, const Resources& used, const Resources& need);
// Of so many machines that are launched, whatever type of those that are large enough they are of.
std::int32_t partsIn(const Pool& pool, const Resources& need, std::int32_t machines);
// Then it gets the whole machine, and pays for it.
inline bool fillsMachine(const MachineType& type, const Resources& need) {
  return type.resources.milli_cpus <= need.milli_cpus;
}
// As far as that depends on the machine itself.
bool takesParts(const MachineSlot& slot);
// "m8 (25% of m3)"; of a machine that is no part its id.
std::string nameOf(const State::Impl& state, const Machine& machine);
// The gang that this pool is kept free for, against whatever has this rank; null: none (patience.cc).
const Job* heldFor(const State::Impl& state, const PoolSlot& pool, const Rank& rank, Time now,
                   const PlacementPolicy& policy);
// Shows nothing of pools that are kept free; the gang that one of them is kept free for, or null.
const Job* keepFree(const State::Impl& state, const std::vector<PoolSlot*>& pools, const Rank& rank, Time now,
                    const PlacementPolicy& policy, std::vector<PoolView>& views);
// Shows what is kept free for shares that have nothing as if it were not there; false: there is no such
// thing.
bool keepReserve(const Bucket& bucket, std::vector<PoolView>& views);
// "waiting for a machine: local: full (4 of 4 machines); aws: paused".
std::string whyWaiting(const Placement& placement);
Directive directiveOf(const State::Impl& state, const MachineSlot* slot);

}  // namespace buoy::engine
