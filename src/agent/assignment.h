#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/channels.h"
#include "agent/checkpoint_sync.h"
#include "agent/environment.h"
#include "agent/job_container.h"
#include "agent/job_log.h"
#include "agent/job_process.h"
#include "agent/log_archive.h"
#include "agent/mounts.h"
#include "agent/outputs.h"
#include "agent/reporter.h"
#include "agent/save_control.h"
#include "agent/save_meter.h"
#include "agent/worker.h"
#include "base/clock.h"
#include "objstore/mirror.h"
#include "objstore/object_store.h"
#include "os/event_loop.h"

namespace buoy::agent {

// What an assignment works with; all of it outlives the assignment.
struct Machine {
  os::EventLoop& loop;
  const Clock& clock;
  Worker& worker;
  objstore::ObjectStore& store;
  LogArchive& archive;
  Reporter& reporter;
  const api::AgentConfig& config;
  const std::map<std::string, std::string>& environment;  // the agent's own
};

struct AssignmentOptions {
  std::uint64_t log_backlog = 1ull << 30;  // unshipped bytes of log after which the job's output is not read
  Duration min_reserve = std::chrono::milliseconds{200};  // of a notice, kept for the last save
  double max_reserve = 0.3;                               // the same, as a part of the notice
  // With a store that does not answer, before the job starts: another machine would meet the same one.
  Duration setup_patience = std::chrono::minutes{10};
  Duration final_patience = std::chrono::seconds{20};   // the same, for the last save
  Duration outputs_patience = std::chrono::minutes{5};  // the same, for the outputs
  Duration logs_patience = std::chrono::seconds{5};     // the same, for the end of the log
  Duration retry_every = std::chrono::milliseconds{500};
  CheckpointSync::Options checkpoint;  // directory, settle and keep come from the job
};

// One member of one attempt on this machine, from the directive to its result: prepare, restore, run, save.
// Level- triggered from outside: every call may come at any moment and more than once. Loop thread only. It
// must not be destroyed from within on_done.
class Assignment {
 public:
  Assignment(const Machine& machine, api::DirectiveMessage message, AssignmentOptions options,
             std::function<void()> on_done);
  ~Assignment();
  Assignment(const Assignment&) = delete;
  Assignment& operator=(const Assignment&) = delete;

  void begin();
  // Save and end within `grace`: the signal, then SIGKILL.
  void stop(Duration grace);
  // The machine will be reclaimed: the same within what is left, less a reserve for the last save.
  void notice(Time deadline);
  // The directive's count of saves that were asked for: the job is told when it has grown.
  void saveRequested(std::uint64_t requests);
  // The machine is likelier to be reclaimed than it was: what would be lost is saved now.
  void atRisk();
  // It was replaced: end at once, save nothing.
  void abandon();
  // The machine is unfit: end at once.
  void machineLost(const std::string& why);
  // Everything that was ended in the archive is in the store.
  void logsStored();

  bool done() const { return stage_ == Stage::done; }
  JobId job() const { return directive().job; }
  Epoch epoch() const { return directive().epoch; }
  bool is(JobId job, Epoch epoch) const { return directive().job == job && directive().epoch == epoch; }
  Duration stopGrace() const { return spec_.stop_grace; }

 private:
  enum class Stage { created, preparing, running, killing, saving, closing, done };
  // What the worker has found out before the job starts.
  struct Prepared {
    std::shared_ptr<objstore::CheckpointRepository> repository;
    std::shared_ptr<Channels> channels;
    std::shared_ptr<objstore::Mirror> mirror;
    std::shared_ptr<Mounts> mounts;           // none: the job keeps nothing
    std::shared_ptr<JobContainer> container;  // started; none: it is a process
    // Instead of all that follows: what is wrong with what the job keeps, and whether another machine may do.
    std::optional<engine::MemberResult> refused;
    std::string restored_version;
    bool begun_from_mirror = false;
    std::vector<std::string> events;
  };
  // What prepareMachine works with.
  struct Setup {
    objstore::ObjectStore& store;
    const api::DirectiveMessage& message;
    const api::JobSpec& spec;
    const std::string& checkpoint_directory;
    const ChannelOptions& channels;
    const api::AgentConfig& config;
    const std::map<std::string, std::string>& environment;
    std::function<void()> on_restoring;
    std::function<void(std::string)> on_output;
    std::function<void(std::uint64_t)> on_storage;  // how far what the job keeps has got, which takes long
    std::stop_token stop;
  };

  const engine::Directive& directive() const { return message_.directive; }
  Status readSpec();
  void prepare();
  void prepared(Result<Prepared> result);
  void storageGetsOn(std::uint64_t progress);
  static Result<Prepared> prepareMachine(const Setup& setup);
  static Result<std::shared_ptr<JobContainer>> openContainer(const JobContainer::Setup& setup,
                                                             Prepared& prepared);
  static Status mountStorage(const Setup& setup, Prepared& prepared);
  static Status openMirror(const Setup& setup, Prepared& prepared);
  static Status beginFromAnother(const Setup& setup, Prepared& prepared);
  Result<JobLog::Files> openLogs();
  ChannelOptions channelOptions();
  Status run(const std::string& restored_version);
  std::function<Status(const Variables&)> makeProcess();
  bool inContainer() const;
  void setTransferPriority(int nice);
  Status watchCheckpoints();
  Status adviseSaves();
  Duration unsavedLimit() const { return std::max(saves_->interval() * 2, options_.checkpoint.tell_unsaved); }
  void terminate(Time kill_at);
  void kill();
  void exited(int exit_code);
  void gone(int last_exit_code);
  void save();
  void saved(const Status& status);
  void sendOutputs(Time give_up);
  void outputsSent(const Result<OutputReport>& result, Time give_up);
  void endWith(engine::MemberResult::Kind kind, std::string detail);
  void finish();
  void finishAs(engine::MemberResult result);
  void awaitArchive();
  void reportResult();
  void releaseMachine(engine::MemberResult result);
  engine::MemberResult ownResult() const;
  void enter(engine::MemberPhase phase);

  Machine machine_;
  api::DirectiveMessage message_;
  AssignmentOptions options_;
  std::function<void()> on_done_;
  MachinePaths paths_;
  api::JobSpec spec_;
  std::string checkpoint_directory_;
  std::shared_ptr<objstore::CheckpointRepository> repository_;
  Stage stage_ = Stage::created;
  engine::MemberPhase phase_ = engine::MemberPhase::assigned;
  bool stopping_ = false;  // the job was told to end: what its process returns does not count
  std::optional<std::int32_t> exit_code_;
  std::string explanation_;                     // beside the code
  std::optional<engine::MemberResult> result_;  // decided before the end: nothing is saved any more
  std::optional<Time> notice_deadline_;
  std::optional<Time> kill_at_;
  Time setup_give_up_{};
  std::string setup_trouble_;  // told last
  std::stop_source setup_stop_;
  std::shared_ptr<std::atomic<std::uint64_t>> downloaded_ = std::make_shared<std::atomic<std::uint64_t>>(0);
  std::uint64_t downloaded_before_ = 0;  // by the tries before
  std::uint64_t storage_progress_ = 0;
  std::shared_ptr<Channels> channels_;
  std::shared_ptr<objstore::Mirror> mirror_;
  std::shared_ptr<Mounts> mounts_;
  std::shared_ptr<JobContainer> container_;
  std::vector<LogArchive::StreamId> archived_;
  std::uint64_t last_version_ = 0;
  os::EventLoop::TimerId kill_timer_ = 0;
  os::EventLoop::TimerId retry_timer_ = 0;
  std::unique_ptr<JobLog> log_;
  std::unique_ptr<JobProcess> process_;
  std::unique_ptr<CheckpointSync> sync_;
  SaveMeter meter_;
  std::unique_ptr<SaveControl> saves_;
  std::shared_ptr<Assignment*> self_;  // for results that come from the worker after the end
};

}  // namespace buoy::agent
