#include "agent/assignment.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "agent/container_process.h"
#include "agent/notice.h"
#include "agent/outputs.h"
#include "agent/supervisor.h"
#include "agent/trouble.h"
#include "agent/workspace.h"
#include "api/input_source.h"
#include "base/pause.h"
#include "base/strings.h"
#include "cloud/storage.h"
#include "objstore/newest_version.h"
#include "objstore/transfer/pool.h"
#include "os/crash_point.h"
#include "os/files.h"
#include "os/log.h"
#include "os/terminal.h"

namespace buoy::agent {
namespace {

using engine::MemberPhase;
using Kind = engine::MemberResult::Kind;

constexpr int kBesideTheJob = 19;  // nice: saves take what processor time the job leaves
// In one try, for what the provider makes of the job's volumes.
constexpr Duration kMountOrderPatience = std::chrono::seconds{10};
constexpr Duration kMountOrderEvery = std::chrono::milliseconds{250};
constexpr std::uint64_t kMaxMountOrder = 1 << 20;
constexpr std::int32_t kOutputsLost = 74;  // EX_IOERR: the job was fine, its outputs could not be stored

std::string describeExit(std::int32_t code) {
  if (code <= 128) return code == 0 ? "" : "exit code " + std::to_string(code);
  const char* name = ::sigabbrev_np(code - 128);
  return strCat({"exit code ", std::to_string(code), name == nullptr ? "" : " (SIG",
                 name == nullptr ? "" : name, name == nullptr ? "" : ")"});
}

// A repository and what it works with: a store whose operations end with the assignment.
struct RepositoryUntil {
  explicit RepositoryUntil(std::unique_ptr<objstore::ObjectStore> of) : store(std::move(of)) {}
  const std::unique_ptr<objstore::ObjectStore> store;  // nullptr: the machine's, which does not wait
  std::optional<objstore::CheckpointRepository> repository;
};

std::string withoutSlashes(std::string path) {
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Assignment::Assignment(const Machine& machine, api::DirectiveMessage message, AssignmentOptions options,
                       std::function<void()> on_done)
    : machine_(machine),
      message_(std::move(message)),
      options_(std::move(options)),
      on_done_(std::move(on_done)),
      paths_{machine.config.directory},
      meter_(machine.config.notice),
      self_(std::make_shared<Assignment*>(this)) {}

Assignment::~Assignment() {
  *self_ = nullptr;
  machine_.loop.cancel(kill_timer_);
  machine_.loop.cancel(retry_timer_);
  setup_stop_.request_stop();
  for (const LogArchive::StreamId stream : archived_) machine_.archive.end(stream);
}

// ---- before the job runs

void Assignment::begin() {
  const bool begun_before = wasBegun(paths_, directive().job, directive().epoch);
  auto files = openLogs();
  if (!files) {
    machine_.reporter.begin(directive(), nullptr);
    return endWith(Kind::machine_lost, files.error().message);
  }
  machine_.reporter.begin(directive(), files->log);
  // The process died with the agent, and what it has committed in this epoch lies behind the fence: only a
  // new attempt may go on from there.
  if (begun_before) return endWith(Kind::machine_lost, "the agent was started anew while the job ran");

  MetricExtractor metrics;
  const Status understood = readSpec().and_then([&]() -> Status {
    BUOY_TRY(metrics, MetricExtractor::create(spec_.metrics));
    return {};
  });
  if (!understood) return endWith(Kind::setup_failed, understood.error().message);
  log_ = std::make_unique<JobLog>(machine_.loop, machine_.clock, machine_.reporter, std::move(*files),
                                  std::move(metrics), options_.log_backlog, [this](bool paused) {
                                    if (process_) process_->pauseOutput(paused);
                                  });
  stage_ = Stage::preparing;
  enter(MemberPhase::preparing);
  setup_give_up_ = machine_.clock.now() + options_.setup_patience;
  prepare();
}

// The log and the metrics of this member, on the machine's disk and on their way into the store.
Result<JobLog::Files> Assignment::openLogs() {
  BUOY_TRY_VOID(os::makeDirectories(paths_.logs()));
  const engine::Directive& work = directive();
  const std::string below = strCat({"/", std::to_string(work.attempt), "/", std::to_string(work.rank)});
  const auto open = [&](const std::string& path, const char* folder, const char* suffix) {
    return LogSpool::open(path).map([&](LogSpool spool) {
      auto shared = std::make_shared<LogSpool>(std::move(spool));
      archived_.push_back(
          machine_.archive.begin(shared, strCat({message_.store_prefix, folder, below}), suffix));
      return shared;
    });
  };
  JobLog::Files files;
  BUOY_TRY(files.log, open(paths_.log(work.job, work.attempt, work.rank), "/logs", ".log"));
  BUOY_TRY(files.metrics, open(paths_.metrics(work.job, work.attempt, work.rank), "/metrics", ".jsonl"));
  files.on_grown = [this, log = files.log, metrics = files.metrics] {
    machine_.archive.grew(archived_[0], log->size());
    machine_.archive.grew(archived_[1], metrics->size());
  };
  return files;
}

ChannelOptions Assignment::channelOptions() {
  ChannelOptions options;
  options.paths = paths_;
  options.store = &machine_.store;
  options.cluster = message_.store_prefix.substr(0, message_.store_prefix.rfind('/'));
  options.rank = directive().rank;
  options.machines = spec_.machines;
  options.cache_directory = machine_.config.cache.empty() ? paths_.cache() : machine_.config.cache;
  options.cache_limit = machine_.config.cache_limit.value;
  options.downloaded = downloaded_;
  options.on_trouble = [loop = &machine_.loop, self = self_](const Error& error) {
    loop->post([self, error] {
      // An input that fails when the job has ended has cost it nothing.
      if (*self == nullptr || (*self)->stage_ > Stage::running) return;
      (*self)->endWith(mayPass(error) ? Kind::machine_lost : Kind::setup_failed, error.message);
    });
  };
  return options;
}

Status Assignment::readSpec() {
  auto parsed = api::parseJobJson(message_.spec);
  if (!parsed) {
    std::vector<std::string> problems;
    for (const api::Problem& problem : parsed.error()) problems.push_back(problem.toString());
    return fail(ErrorCode::invalid_argument, "the job's specification: " + join(problems, "; "));
  }
  spec_ = std::move(*parsed);
  if (spec_.run.empty() && !inContainer())
    return fail(
        ErrorCode::invalid_argument,
        "the job has no command of its own, only its image has, and its pool runs it without the image "
        "(isolation: process)");
  if (spec_.checkpoint) checkpoint_directory_ = paths_.work() + "/" + withoutSlashes(spec_.checkpoint->dir);
  return {};
}

bool Assignment::inContainer() const {
  return spec_.container && message_.isolation == engine::Isolation::container;
}

void Assignment::prepare() {
  machine_.worker.submit([loop = &machine_.loop, self = self_, store = &machine_.store, message = message_,
                          spec = spec_, directory = checkpoint_directory_, channels = channelOptions(),
                          worker = &machine_.worker, config = machine_.config,
                          environment = machine_.environment,
                          source = setup_stop_](const std::stop_token& stop) mutable {
    const std::stop_callback forward(stop, [&source] { source.request_stop(); });
    const auto on_restoring = [&] {
      loop->post([self] {
        if (*self != nullptr && (*self)->stage_ == Stage::preparing) (*self)->enter(MemberPhase::restoring);
      });
    };
    const auto on_output = [&](std::string text) {
      loop->post([self, text = std::move(text)] {
        if (*self != nullptr && (*self)->stage_ == Stage::preparing) (*self)->log_->take('o', text);
      });
    };
    const auto on_storage = [&](std::uint64_t progress) {
      loop->post([self, progress] {
        if (*self != nullptr) (*self)->storageGetsOn(progress);
      });
    };
    auto result = std::make_shared<Result<Prepared>>(
        prepareMachine({*store, message, spec, directory, channels, config, environment, on_restoring,
                        on_output, on_storage, source.get_token()}));
    loop->post([self, worker, result = std::move(result)]() mutable {
      if (*self != nullptr && (*self)->stage_ == Stage::preparing)
        return (*self)->prepared(std::move(*result));
      // Stopped meanwhile. Its streams may have to wait for the store, which is not for this thread.
      worker->submit([result = std::move(result)](const std::stop_token&) {});
    });
  });
}

// On the worker.
Result<Assignment::Prepared> Assignment::prepareMachine(const Setup& setup) {
  const auto& [store, message, spec, checkpoint_directory, channels, config, environment, on_restoring,
               on_output, on_storage, stop] = setup;
  const MachinePaths& paths = channels.paths;
  const engine::Directive& directive = message.directive;
  Prepared prepared;
  BUOY_TRY_VOID(openWorkspace(paths, directive.job, directive.epoch));
  if (spec.checkpoint || !spec.outputs.empty()) {
    // First of all the fence: from here on the attempt before this one can commit nothing.
    auto until = std::make_shared<RepositoryUntil>(store.until(stop));
    prepared.repository = std::shared_ptr<objstore::CheckpointRepository>(
        until,
        &until->repository.emplace(
            until->store ? *until->store : store, message.store_prefix + "/checkpoints", directive.epoch,
            directive.attempt,
            objstore::CheckpointOptions{.rank = static_cast<std::uint32_t>(directive.rank),
                                        .ranks = static_cast<std::uint32_t>(std::max(spec.machines, 1))}));
    BUOY_TRY(const auto newest, prepared.repository->open());
    // What an earlier attempt left here and never committed must not be taken for a checkpoint.
    if (spec.checkpoint && !newest) BUOY_TRY_VOID(emptyDirectory(checkpoint_directory));
  }
  BUOY_TRY_VOID(mountStorage(setup, prepared));
  if (prepared.refused) return prepared;
  BUOY_TRY_VOID(fetchSources(paths, store, spec.source));
  const JobContainer::Setup in_container{paths, config, message, spec, environment, on_output, stop};
  BUOY_TRY(const std::shared_ptr<JobContainer> container, openContainer(in_container, prepared));
  const auto startContainer = [&]() -> Status {
    if (!container) return {};
    BUOY_TRY_VOID(container->start(in_container));
    for (std::string& event : container->takeEvents()) prepared.events.push_back(std::move(event));
    prepared.container = container;
    return {};
  };
  BUOY_TRY(prepared.channels, Channels::prepare(channels, spec.inputs, stop));
  const std::vector<std::string> fetched = prepared.channels->events();
  prepared.events.insert(prepared.events.end(), fetched.begin(), fetched.end());
  if (!spec.checkpoint) {
    BUOY_TRY_VOID(startContainer());
    return prepared;
  }
  on_restoring();
  BUOY_TRY(const auto restored, prepared.repository->restore(checkpoint_directory));
  prepared.events.insert(prepared.events.end(), restored.fallbacks.begin(), restored.fallbacks.end());
  if (restored.manifest) {
    prepared.restored_version = std::to_string(restored.manifest->version);
    prepared.events.push_back(strCat({"restored version ", prepared.restored_version, " (",
                                      formatByteCount(ByteCount{restored.bytes}), " copied)"}));
  }
  BUOY_TRY_VOID(openMirror(setup, prepared));
  BUOY_TRY_VOID(beginFromAnother(setup, prepared));
  if (!restored.manifest) BUOY_TRY_VOID(prepared.repository->beginWith(checkpoint_directory));
  BUOY_TRY_VOID(startContainer());
  return prepared;
}

// Null: the job is a process here.
Result<std::shared_ptr<JobContainer>> Assignment::openContainer(const JobContainer::Setup& setup,
                                                                Prepared& prepared) {
  if (!setup.spec.container || setup.message.isolation == engine::Isolation::process)
    return std::shared_ptr<JobContainer>();
  BUOY_TRY(std::shared_ptr<JobContainer> container, JobContainer::open(setup));
  for (std::string& event : container->takeEvents()) prepared.events.push_back(std::move(event));
  return container;
}

// The provider connects what the job keeps, and lays into the store what there is to mount.
Status Assignment::mountStorage(const Setup& setup, Prepared& prepared) {
  if (setup.spec.storage.empty()) return {};
  const std::string key = cloud::mountKey(setup.message.store_prefix, setup.config.machine);
  const auto end = std::chrono::steady_clock::now() + kMountOrderPatience;
  cloud::MountOrder order;
  for (;;) {
    const auto text = setup.store.get(key, kMaxMountOrder);
    if (!text && text.error().code != ErrorCode::not_found) return fail(text.error());
    if (text) {
      BUOY_TRY(order, cloud::parseMountOrder(*text));
      // Of an attempt before this one on the same machine.
      const bool ours = order.epoch == setup.message.directive.epoch;
      if (ours && order.waiting.empty()) break;
      if (ours) setup.on_storage(order.progress);
      if (!ours) order = {};
    }
    if (std::chrono::steady_clock::now() >= end || !pauseFor(kMountOrderEvery, setup.stop))
      return fail(ErrorCode::unavailable,
                  order.waiting.empty() ? "what the job keeps is not connected yet" : order.waiting, true);
  }
  prepared.events = order.told;
  if (!order.error.empty()) {
    prepared.refused = {order.elsewhere ? Kind::machine_lost : Kind::setup_failed, 0, order.error};
    return {};
  }
  std::vector<std::string> environment;
  for (const auto& [name, value] : setup.environment) environment.push_back(strCat({name, "=", value}));
  prepared.mounts = std::make_shared<Mounts>(Mounts::ofThisMachine(environment));
  BUOY_TRY_VOID(prepared.mounts->mount(order.mounts, setup.stop));
  for (std::string& event : prepared.mounts->takeEvents()) prepared.events.push_back(std::move(event));
  return {};
}

// A job without any version goes on from what lies in its mirror, whoever has put it there.
Status Assignment::openMirror(const Setup& setup, Prepared& prepared) {
  const std::string& uri = setup.spec.checkpoint->mirror;
  if (uri.empty()) return {};
  BUOY_TRY(std::shared_ptr<objstore::ObjectStore> store, objstore::openStore(uri));
  prepared.mirror = std::make_shared<objstore::Mirror>(std::move(store));
  if (prepared.restored_version.empty()) {
    auto fetched = prepared.mirror->fetch(setup.checkpoint_directory, setup.stop);
    if (!fetched) {
      Error error = fetched.error().wrap("checkpoint.mirror: " + uri);
      // A file that another machine replaced meanwhile; for the attempt that code means that it was replaced.
      if (error.code == ErrorCode::failed_precondition) {
        error.code = ErrorCode::unavailable;
        error.retryable = true;
      }
      return fail(std::move(error));
    }
    prepared.begun_from_mirror = fetched->files > 0;
    if (prepared.begun_from_mirror) {
      prepared.events.push_back(strCat({"began from ", std::to_string(fetched->files), " files (",
                                        formatByteCount(ByteCount{fetched->bytes}), ") of ", uri}));
    }
  }
  return prepared.mirror->begin(setup.checkpoint_directory);
}

// A job without any version, and without files in its mirror, begins with another job's newest one.
Status Assignment::beginFromAnother(const Setup& setup, Prepared& prepared) {
  const std::string& from = setup.spec.checkpoint->from;
  if (from.empty() || !prepared.restored_version.empty()) return {};
  if (prepared.begun_from_mirror) {
    prepared.events.push_back("checkpoint.from is passed over: the mirror has files");
    return {};
  }
  BUOY_TRY(const api::InputSource source, api::parseInputSource(from));
  const auto until = setup.store.until(setup.stop);
  auto restored = objstore::restoreNewestVersion(
      until ? *until : setup.store, strCat({setup.channels.cluster, "/", source.job, "/checkpoints"}),
      setup.checkpoint_directory);
  if (!restored) {
    Error error = restored.error().wrap("checkpoint.from: " + source.job);
    // For the attempt that code means that it was replaced.
    if (error.code == ErrorCode::failed_precondition) error.code = ErrorCode::invalid_argument;
    return fail(std::move(error));
  }
  if (setup.channels.downloaded) *setup.channels.downloaded += restored->bytes;
  prepared.events.push_back(
      strCat({"began from version ", std::to_string(restored->version), " of ", source.job, " (",
              formatByteCount(ByteCount{restored->bytes}), " copied)"}));
  return {};
}

void Assignment::storageGetsOn(std::uint64_t progress) {
  if (progress <= storage_progress_) return;
  storage_progress_ = progress;
  setup_give_up_ = machine_.clock.now() + options_.setup_patience;
}

void Assignment::prepared(Result<Prepared> result) {
  if (!result) {
    const Error& error = result.error();
    if (error.code == ErrorCode::failed_precondition) return endWith(Kind::fenced, error.message);
    if (!mayPass(error)) return endWith(Kind::setup_failed, error.message);
    // A large download that is cut again and again gets on, and its time begins anew.
    if (const std::uint64_t downloaded = *downloaded_; downloaded != downloaded_before_) {
      downloaded_before_ = downloaded;
      setup_give_up_ = machine_.clock.now() + options_.setup_patience;
    }
    if (machine_.clock.now() >= setup_give_up_) return endWith(Kind::machine_lost, error.message);
    os::log(os::LogLevel::warn, "setup_retried", {{"error", error.message}});
    if (error.message != setup_trouble_) machine_.reporter.warn("waiting to begin: " + error.message);
    setup_trouble_ = error.message;
    retry_timer_ = machine_.loop.after(options_.retry_every, [this] { prepare(); });
    return;
  }
  repository_ = std::move(result->repository);
  channels_ = std::move(result->channels);
  mirror_ = std::move(result->mirror);
  mounts_ = std::move(result->mounts);
  container_ = std::move(result->container);
  for (const std::string& event : result->events) machine_.reporter.event(event);
  if (result->refused) return endWith(result->refused->kind, result->refused->detail);
  if (const Status started = run(result->restored_version); !started) {
    endWith(Kind::setup_failed, started.error().message);
  }
}

// ---- while it runs

Status Assignment::run(const std::string& restored_version) {
  BUOY_TRY_VOID(watchCheckpoints());
  const auto start = makeProcess();
  BUOY_TRY_VOID(adviseSaves());
  const EnvironmentInputs inputs{.config = machine_.config,
                                 .directive = directive(),
                                 .spec = spec_,
                                 .checkpoint_directory = checkpoint_directory_,
                                 .restored_version = restored_version,
                                 .checkpoint_interval = saves_ ? saves_->interval() : Duration{},
                                 .inherited = machine_.environment,
                                 // A container does not see it.
                                 .agent_path = container_ ? "" : os::executablePath().value_or("")};
  Variables variables;
  if (container_) {
    BUOY_TRY(variables, container_->environment(jobVariables(inputs, spec_.container->project_dir)));
  } else {
    variables = jobEnvironment(inputs);
  }
  BUOY_TRY_VOID(start(variables));
  stage_ = Stage::running;
  setTransferPriority(kBesideTheJob);
  enter(MemberPhase::running);
  os::log(os::LogLevel::info, "job_started",
          {{"job", directive().job.toString()},
           {"attempt", directive().attempt},
           {"restored", restored_version}});
  return {};
}

// What starts it, with its environment. The process is there before, for whoever asks about it.
std::function<Status(const Variables&)> Assignment::makeProcess() {
  JobProcess::Callbacks callbacks{
      .on_output = [this](char stream, std::string_view bytes) { log_->take(stream, bytes); },
      .on_exit = [this](int exit_code) { exited(exit_code); },
      .on_gone = [this](int last_exit_code) { gone(last_exit_code); },
  };
  if (container_) {
    auto process = std::make_unique<ContainerProcess>(
        machine_.loop, std::move(callbacks), container_->takeConnection(), container_->memoryLimit());
    ContainerProcess* const in_container = process.get();
    process_ = std::move(process);
    return [in_container](const Variables& variables) { return in_container->start(entriesOf(variables)); };
  }
  auto process = std::make_unique<Supervisor>(machine_.loop, std::move(callbacks));
  Supervisor* const supervisor = process.get();
  process_ = std::move(process);
  return [this, supervisor](const Variables& variables) {
    return supervisor->start(spec_.run, paths_.work(), entriesOf(variables));
  };
}

void Assignment::setTransferPriority(int nice) {
  if (objstore::TransferPool* pool = machine_.store.pool()) pool->setNice(nice);
  if (objstore::TransferPool* pool = mirror_ ? mirror_->pool() : nullptr) pool->setNice(nice);
}

// Every rank saves; what they saved becomes a version at rank 0, which alone reports it.
Status Assignment::watchCheckpoints() {
  if (!spec_.checkpoint) return {};
  CheckpointSync::Options options = options_.checkpoint;
  options.directory = checkpoint_directory_;
  options.settle = spec_.checkpoint->settle;
  options.keep = spec_.checkpoint->keep;
  options.mirror = mirror_;
  options.rank = static_cast<std::uint32_t>(directive().rank);
  options.ranks = static_cast<std::uint32_t>(spec_.machines);
  options.decides = spec_.main_decides && options.rank == 0;
  BUOY_TRY(sync_,
           CheckpointSync::create(
               machine_.loop, machine_.clock, machine_.worker, repository_, options,
               {.on_committed =
                    [this](const objstore::CommitStats& stats, Time covers, Duration wrote) {
                      last_version_ = stats.version;
                      if (const auto warning = meter_.saved(stats, wrote)) machine_.reporter.event(*warning);
                      engine::SaveMeasure measure = meter_.measure();
                      saves_->saved(measure, covers);
                      measure.interval = saves_->interval();
                      sync_->tellUnsavedAfter(unsavedLimit());
                      if (directive().rank == 0) machine_.reporter.committed(stats.version, covers, measure);
                    },
                .on_fenced = [this] { endWith(Kind::fenced, "a later attempt has begun"); },
                .on_trouble = [this](const std::string& sentence) { machine_.reporter.warn(sentence); }}));
  return {};
}

// What tells the job when to save. The job may do as it likes.
Status Assignment::adviseSaves() {
  if (!spec_.checkpoint) return {};
  const int signal = api::signalNumber(spec_.checkpoint->signal).value_or(SIGTERM);
  SaveControl::Options options;
  options.file = paths_.saveControl();
  options.fixed = spec_.checkpoint->interval;
  options.saving = message_.saving;
  options.saving.last.notice = machine_.config.notice;
  options.requests = directive().save;
  saves_ = std::make_unique<SaveControl>(
      machine_.loop, machine_.clock, std::move(options),
      SaveControl::Callbacks{.saves_at_notice = [this, signal] { return process_->catches(signal); },
                             .on_due =
                                 [this] {
                                   const auto number = api::signalNumber(spec_.checkpoint->save_signal);
                                   if (number && !stopping_) process_->signalCatchers(*number);
                                 }});
  if (sync_) sync_->tellUnsavedAfter(unsavedLimit());
  return saves_->begin();
}

void Assignment::saveRequested(std::uint64_t requests) {
  if (saves_ && stage_ == Stage::running) saves_->requested(requests);
}

void Assignment::atRisk() {
  if (saves_ && stage_ == Stage::running) saves_->atRisk();
}

void Assignment::stop(Duration grace) {
  if (stage_ == Stage::created || stage_ == Stage::preparing) {
    stopping_ = true;
    return finish();
  }
  if (stage_ == Stage::running) terminate(machine_.clock.now() + grace);
}

void Assignment::notice(Time deadline) {
  if (notice_deadline_ == deadline) return;
  notice_deadline_ = deadline;
  if (stage_ == Stage::closing) return awaitArchive();
  if (stage_ != Stage::running) return stop(Duration{0});
  const Time now = machine_.clock.now();
  const Duration left = std::max(deadline - now, Duration{0});
  if (const Status told = replaceFile(paths_.notice(), noticeForJob(deadline, left)); !told) {
    os::log(os::LogLevel::warn, "notice_not_passed_on", {{"error", told.error().message}});
  }
  const auto most = std::chrono::duration_cast<Duration>(left * options_.max_reserve);
  const Duration last_save = sync_ ? sync_->longestSave() : Duration{0};
  terminate(deadline - std::min(std::max(last_save * 2, options_.min_reserve), most));
}

void Assignment::terminate(Time kill_at) {
  if (!stopping_) {
    stopping_ = true;
    setTransferPriority(0);  // what counts now is the last save
    enter(MemberPhase::saving);
    if (saves_) saves_->stopping();
    const std::string name = spec_.checkpoint ? spec_.checkpoint->signal : "SIGTERM";
    process_->signal(api::signalNumber(name).value_or(SIGTERM));
  }
  if (kill_at_ && *kill_at_ <= kill_at) return;
  kill_at_ = kill_at;
  machine_.loop.cancel(kill_timer_);
  kill_timer_ = machine_.loop.after(kill_at - machine_.clock.now(), [this] { kill(); });
}

void Assignment::kill() {
  if (stage_ != Stage::running) return;
  stage_ = Stage::killing;
  if (sync_ && !result_) sync_->freeze();
  process_->killAll();
}

void Assignment::abandon() {
  endWith(Kind::fenced, "the job was given to another attempt");
}

void Assignment::machineLost(const std::string& why) {
  endWith(Kind::machine_lost, why);
}

void Assignment::exited(int exit_code) {
  exit_code_ = exit_code;
  if (stage_ != Stage::running) return;
  const bool by_signal = exit_code > 128;
  // The shell died of the signal that the program below it may be saving on: that one has its time as well.
  if (stopping_ && by_signal) return;
  if (sync_ && by_signal) sync_->jobCrashed();
  if (sync_ && !by_signal) sync_->freeze();
  stage_ = Stage::killing;
  process_->killAll();
}

void Assignment::gone(int last_exit_code) {
  if (stage_ == Stage::running && sync_ && !result_) {
    if (last_exit_code > 128) {
      sync_->jobCrashed();
    } else {
      sync_->freeze();
    }
  }
  machine_.loop.cancel(kill_timer_);
  explanation_ = process_->explanation();
  log_->finish();
  setTransferPriority(0);
  stage_ = Stage::saving;
  if (!stopping_) enter(MemberPhase::saving);
  save();
}

// ---- after it has ended

void Assignment::save() {
  if (!result_ && ::access(paths_.work().c_str(), F_OK) != 0) {
    result_ = engine::MemberResult{Kind::machine_lost, 0, "the machine's directory is gone"};
  }
  if (result_ || !sync_) return saved({});
  const Time now = machine_.clock.now();
  const Time give_up = notice_deadline_ ? *notice_deadline_ : now + options_.final_patience;
  sync_->finish(give_up, notice_deadline_, !stopping_ && exit_code_ == 0,
                [this](const Status& status) { saved(status); });
}

void Assignment::saved(const Status& status) {
  if (result_) return finish();
  if (!status && status.error().code == ErrorCode::failed_precondition) {
    result_ = engine::MemberResult{Kind::fenced, 0, status.error().message};
    return finish();
  }
  if (!status) {
    const std::string stands = last_version_ == 0
                                   ? "none of this attempt was"
                                   : "version " + std::to_string(last_version_) + " is the last";
    machine_.reporter.event(
        strCat({"the last checkpoint could not be saved, ", stands, ": ", status.error().message}));
  }
  const bool succeeded = !stopping_ && exit_code_ == 0 && directive().rank == 0;
  if (!succeeded || spec_.outputs.empty()) return finish();
  sendOutputs(machine_.clock.now() + options_.outputs_patience);
}

void Assignment::sendOutputs(Time give_up) {
  if (result_) return finish();
  machine_.worker.submit([loop = &machine_.loop, self = self_, store = &machine_.store,
                          repository = repository_, work = paths_.work(), outputs = spec_.outputs,
                          prefix = message_.store_prefix, give_up](const std::stop_token&) {
    // The fence is asked again: the outputs of an attempt that was replaced must not hide those of its
    // successor.
    auto result =
        repository->open().and_then([&](const auto&) { return storeOutputs(work, outputs, *store, prefix); });
    loop->post([self, result = std::move(result), give_up] {
      if (*self != nullptr) (*self)->outputsSent(result, give_up);
    });
  });
}

void Assignment::outputsSent(const Result<OutputReport>& result, Time give_up) {
  if (result_) return finish();
  if (result) {
    for (const std::string& problem : result->problems) machine_.reporter.warn(problem);
    if (!result->stored.empty()) {
      machine_.reporter.event(strCat({"stored ", std::to_string(result->stored.size()),
                                      result->stored.size() == 1 ? " output (" : " outputs (",
                                      formatByteCount(ByteCount{result->bytes}), ")"}));
    }
    return finish();
  }
  const Error& error = result.error();
  if (error.code == ErrorCode::failed_precondition) {
    return finishAs({Kind::fenced, 0, error.message});
  }
  const Time retry_at = machine_.clock.now() + options_.retry_every;
  if (mayPass(error) && retry_at < give_up && !notice_deadline_) {
    retry_timer_ = machine_.loop.after(options_.retry_every, [this, give_up] { sendOutputs(give_up); });
    return;
  }
  finishAs({Kind::exited, kOutputsLost,
            "the job ended well, but its outputs could not be stored: " + error.message});
}

// The result is known before the end: nothing of this attempt is kept, and what runs is killed at once.
void Assignment::endWith(Kind kind, std::string detail) {
  if (stage_ >= Stage::closing) return;
  if (!result_) result_ = engine::MemberResult{kind, 0, std::move(detail)};
  if (stage_ == Stage::running) return kill();
  if (stage_ == Stage::created || stage_ == Stage::preparing) finish();
}

engine::MemberResult Assignment::ownResult() const {
  const std::int32_t code = exit_code_.value_or(0);
  if (stopping_) return {Kind::stopped, code, ""};
  return {Kind::exited, code, code != 0 && !explanation_.empty() ? explanation_ : describeExit(code)};
}

void Assignment::finish() {
  finishAs(result_ ? *result_ : ownResult());
}

// The container holds what is mounted; whoever has the volumes next finds on them what was written here.
void Assignment::releaseMachine(engine::MemberResult result) {
  stage_ = Stage::saving;
  machine_.worker.submit([loop = &machine_.loop, self = self_, mounts = std::exchange(mounts_, nullptr),
                          container = std::exchange(container_, nullptr),
                          result = std::move(result)](const std::stop_token&) mutable {
    if (container) container->close();
    mounts->release();
    auto events = mounts->takeEvents();
    loop->post([self, events = std::move(events), result = std::move(result)]() mutable {
      if (*self == nullptr) return;
      for (const std::string& event : events) (*self)->machine_.reporter.event(event);
      (*self)->finishAs(std::move(result));
    });
  });
}

void Assignment::finishAs(engine::MemberResult result) {
  if (stage_ >= Stage::closing) return;
  if (mounts_) return releaseMachine(std::move(result));
  // Nobody waits for it: nothing of the job runs in it any more.
  if (container_) {
    machine_.worker.submit(
        [container = std::exchange(container_, nullptr)](const std::stop_token&) { container->close(); });
  }
  stage_ = Stage::closing;
  machine_.loop.cancel(kill_timer_);
  machine_.loop.cancel(retry_timer_);
  setup_stop_.request_stop();
  for (const LogArchive::StreamId stream : archived_) machine_.archive.end(stream);
  // The end of a stream may have to wait for the store.
  if (channels_) machine_.worker.submit([channels = std::move(channels_)](const std::stop_token&) {});
  os::log(os::LogLevel::info, "job_ended",
          {{"job", directive().job.toString()},
           {"attempt", directive().attempt},
           {"result", engine::toString(result.kind)},
           {"exit_code", result.exit_code},
           {"detail", result.detail}});
  result_ = std::move(result);
  if (sync_) sync_->abandon();
  // Once the result is known, the machine may be taken away at any moment; the last lines go before it.
  const bool lost = result_->kind == Kind::fenced || result_->kind == Kind::machine_lost;
  if (lost || machine_.archive.drained()) return reportResult();
  awaitArchive();
}

void Assignment::awaitArchive() {
  Duration patience = options_.logs_patience;
  if (notice_deadline_) patience = std::min(patience, (*notice_deadline_ - machine_.clock.now()) / 2);
  machine_.loop.cancel(retry_timer_);
  retry_timer_ = machine_.loop.after(std::max(patience, Duration{0}), [this] { reportResult(); });
}

void Assignment::logsStored() {
  if (stage_ == Stage::closing && machine_.archive.drained()) reportResult();
}

void Assignment::reportResult() {
  stage_ = Stage::done;
  machine_.loop.cancel(retry_timer_);
  os::crashPoint("agent.before_done");
  machine_.reporter.result(*result_, machine_.clock.now());
  on_done_();
}

void Assignment::enter(MemberPhase phase) {
  if (phase <= phase_) return;  // setup that is tried again
  phase_ = phase;
  machine_.reporter.phase(phase, machine_.clock.now());
}

}  // namespace buoy::agent
