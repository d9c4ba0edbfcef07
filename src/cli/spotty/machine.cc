#include "cli/spotty/machine.h"

#include <algorithm>
#include <set>
#include <thread>
#include <variant>

#include "api/config.h"
#include "base/pause.h"
#include "base/strings.h"
#include "cli/exit_codes.h"
#include "cli/job_feed.h"
#include "cli/line_queue.h"
#include "cli/spotty/aws_account.h"
#include "cli/submission.h"
#include "gateways/spotty/workspace.h"

namespace buoy::cli {
namespace {

namespace spotty = gateways::spotty;

constexpr Duration kLookEvery = std::chrono::milliseconds{100};
constexpr Duration kLookAtLeast = std::chrono::seconds{1};
// As Spotty waits for a launch.
constexpr Duration kStartPatience = std::chrono::minutes{30};
constexpr int kTail = 2000;
constexpr std::size_t kMostHeldLines = 4096;
// As long as snapshots may take; what is left then goes on by itself.
constexpr Duration kVolumesPatience = std::chrono::minutes{30};
constexpr int kSshPort = 22;
constexpr const char* kUsualUser = "ubuntu";  // Spotty's
// How the programs of a machine on this host find what runs containers.
constexpr const char* kRuntimeVariables[] = {"CONTAINERS_CONF",
                                             "CONTAINERS_STORAGE_CONF",
                                             "CONTAINERS_REGISTRIES_CONF",
                                             "CONTAINER_HOST",
                                             "DOCKER_HOST",
                                             "DOCKER_CONFIG",
                                             "XDG_RUNTIME_DIR",
                                             "STORAGE_DRIVER"};

Result<engine::Pool> modelPool(Connection& connection, const std::string& provider) {
  BUOY_TRY(const std::string body, connection.get("/v1/pools"));
  BUOY_TRY(const std::vector<api::PoolView> pools, api::parsePools(body));
  for (const api::PoolView& view : pools) {
    if (view.pool.provider == provider) return view.pool;
  }
  return fail(ErrorCode::failed_precondition, strCat({"the server has no pool of provider ", provider}));
}

Result<JobId> submitWorkspace(Connection& connection, const SpottyChoice& choice,
                              const StartOptions& options) {
  engine::Pool pool;
  if (options.pool) {
    pool = *options.pool;
  } else {
    BUOY_TRY(const engine::Pool model,
             modelPool(connection, std::string(toString(choice.instance.provider))));
    pool = spotty::poolOf(choice.project, choice.instance, choice.parameters, model);
  }
  BUOY_TRY_VOID(connection.put("/v1/pools/" + pathPart(pool.name), api::toJson(pool)));
  const engine::Queue queue{.name = pool.name, .priority = 0, .pools = {pool.name}};
  BUOY_TRY_VOID(connection.put("/v1/queues/" + pathPart(queue.name), api::toJson(queue)));
  spotty::WorkspaceOptions workspace{.project_root = choice.root,
                                     .directory = choice.directory,
                                     .source = options.source,
                                     .notify = options.notify,
                                     .idle = options.idle,
                                     .hours = options.hours};
  if (choice.instance.provider == spotty::ProviderKind::local) {
    for (const char* const name : kRuntimeVariables) {
      if (const auto value = environment(name)) workspace.env[name] = *value;
    }
  }
  api::SubmitRequest request;
  request.spec = spotty::jobOf(choice.project, choice.instance, choice.parameters, workspace);
  BUOY_TRY(const std::string answer, connection.post("/v1/jobs", api::toJson(request)));
  BUOY_TRY(const api::SubmitAnswer submitted, api::parseSubmitAnswer(answer));
  return submitted.job;
}

// Prints what the workspace says until it is ready.
class StartFollower {
 public:
  StartFollower(const Context& context, const ServerAddress& address, JobId job)
      : context_(context),
        job_(job),
        log_(address, Connection::Start::never),
        status_(address, Connection::Start::never) {}

  // False: the job ended before.
  Result<bool> follow() {
    std::jthread lines([this](std::stop_token stop) {
      const FeedSource source =
          logSource(job_, std::nullopt, [&](api::LogLineView line) { queue_.push(std::move(line), stop); });
      const OnReachable told = [this, stop](bool now) { queue_.push(Reachable{now}, stop); };
      queue_.push(readFeed(log_, job_, source, told, stop), stop);
    });
    std::jthread phases([this](std::stop_token stop) {
      do {
        if (auto view = fetchJob(status_, job_.toString())) queue_.push(std::move(*view), stop);
      } while (pauseFor(kLookEvery, stop));
    });
    const Result<bool> ready = print();
    // Waiting reads are broken off, then the threads join.
    lines.request_stop();
    phases.request_stop();
    log_.cancel();
    status_.cancel();
    return ready;
  }

 private:
  struct Reachable {
    bool now = true;
  };
  // Status: the log has ended, with its job.
  using Item = std::variant<api::LogLineView, api::JobView, Reachable, Status>;

  Result<bool> print() {
    const auto give_up = std::chrono::steady_clock::now() + kStartPatience;
    while (std::chrono::steady_clock::now() < give_up) {
      const std::optional<Item> item = queue_.pop(kLookEvery);
      if (!item) continue;
      if (const auto* line = std::get_if<api::LogLineView>(&*item)) {
        if (isReady(*line)) return true;
      } else if (const auto* view = std::get_if<api::JobView>(&*item)) {
        tellPhase(*view);
      } else if (const auto* reachable = std::get_if<Reachable>(&*item)) {
        context_.print(reachable->now ? "  - the server answers again\n"
                                      : "  - the server does not answer; waiting for it...\n");
      } else if (const Status& ended = std::get<Status>(*item); ended) {
        return false;
      } else {
        return fail(ended.error());
      }
    }
    return fail(ErrorCode::deadline_exceeded, "it has not become ready within half an hour");
  }

  void tellPhase(const api::JobView& view) {
    if (view.phase == phase_ && view.reason == reason_) return;
    phase_ = view.phase;
    reason_ = view.reason;
    if (view.phase == engine::JobPhase::running) return;
    context_.print(strCat({"  - ", std::string(engine::toString(view.phase)), reason_.empty() ? "" : ": ",
                           cleaned(reason_), "\n"}));
  }

  // Prints the line unless it says that all is ready.
  bool isReady(const api::LogLineView& line) const {
    const std::string_view text = line.text;
    if (!text.starts_with(api::kWorkspaceSign)) {
      context_.print(strCat({"    ", cleaned(text), "\n"}));
      return false;
    }
    const std::string_view step = text.substr(api::kWorkspaceSign.size());
    if (step == api::kWorkspaceReady) return true;
    context_.print(strCat({"  - ", cleaned(step), "\n"}));
    return false;
  }

  const Context& context_;
  const JobId job_;
  Connection log_, status_;
  LineQueue<Item> queue_{kMostHeldLines};
  std::string reason_;
  engine::JobPhase phase_ = engine::JobPhase::queued;
};

// Of what goes on after a job's end no feed tells: it is asked for, more and more rarely.
class Looks {
 public:
  void pause() {
    pauseFor(next_, {});
    next_ = std::min(next_ * 2, kLookAtLeast);
  }

 private:
  Duration next_ = kLookEvery;
};

// A job that has ended names its machines no more, while they still end.
Result<bool> anyMachineIn(Connection& connection, const std::string& pool) {
  BUOY_TRY(const std::string body, connection.get("/v1/machines"));
  BUOY_TRY(const std::vector<api::MachineView> machines, api::parseMachines(body));
  return std::any_of(machines.begin(), machines.end(),
                     [&](const api::MachineView& machine) { return machine.pool == pool; });
}

// Until the job has ended and no machine is left in its pool, which is its alone and has its name.
Result<api::JobView> awaitMachinesEnd(Connection& connection, JobId job) {
  const FeedSource events = eventSource(job, [](const api::RecordView&) {});
  BUOY_TRY_VOID(readFeed(connection, job, events, [](bool) {}, {}));
  BUOY_TRY(api::JobView view, fetchJob(connection, job.toString()));
  for (Looks looks;; looks.pause()) {
    BUOY_TRY(const bool left, anyMachineIn(connection, view.request.name));
    if (!left) return view;
  }
}

// Says what becomes of the job's volumes after its end, until all of that is done.
class VolumesFollower {
 public:
  VolumesFollower(const Context& context, Connection& connection, const SpottyChoice& choice, JobId job)
      : context_(context), connection_(connection), choice_(choice), job_(job) {}

  Status follow() {
    const auto give_up = std::chrono::steady_clock::now() + kVolumesPatience;
    const FeedSource events =
        eventSource(job_, [this](const api::RecordView& record) { note(record.record.detail); });
    // What has ended is read to its end at once, and from there on the next time.
    std::string cursor;
    for (Looks looks;; looks.pause()) {
      BUOY_TRY(const std::string body, connection_.get(events.target(cursor, false)));
      for (const std::string_view line : split(body, '\n')) {
        if (line.empty()) continue;
        BUOY_TRY(cursor, events.deliver(line));
      }
      if (settled_ >= had_.size()) return {};
      if (std::chrono::steady_clock::now() >= give_up) {
        context_.note("its volumes are still being settled; `buoy why` has the rest\n");
        return {};
      }
    }
  }

 private:
  void note(const std::string& detail) {
    for (const spotty::Volume& volume : choice_.parameters.volumes) {
      const std::string named = "volume " + volume.disk + " (";
      if (detail.starts_with("took " + named) || detail.starts_with("made " + named)) {
        had_.insert(volume.disk);
        return;
      }
      const bool failed = detail.starts_with(strCat({"the snapshot of volume ", volume.disk, " failed"}));
      if (!failed && !detail.starts_with(named)) continue;
      context_.print(strCat({"  - ", cleaned(detail), "\n"}));
      ++settled_;
      return;
    }
  }

  const Context& context_;
  Connection& connection_;
  const SpottyChoice& choice_;
  const JobId job_;
  std::size_t settled_ = 0;
  std::set<std::string> had_;
};

// As its last machine's keeper said.
std::string userOf(Connection& connection, JobId job) {
  std::string user = kUsualUser;
  for (const std::string& line : workspaceLines(connection, job)) {
    if (line.starts_with(api::kWorkspaceUser)) user = line.substr(api::kWorkspaceUser.size());
  }
  return user;
}

}  // namespace

Result<std::optional<api::JobView>> workspaceJob(Connection& connection, const SpottyChoice& choice) {
  auto job = fetchJob(connection, choice.name);
  if (!job && job.error().code == ErrorCode::not_found) return std::nullopt;
  if (!job) return fail(job.error());
  if (engine::isTerminal(job->phase)) return std::nullopt;
  return std::optional(std::move(*job));
}

tl::expected<void, int> startWorkspace(const Context& context, Connection& connection,
                                       const SpottyChoice& choice, const StartOptions& options) {
  const auto job = submitWorkspace(connection, choice, options);
  if (!job) return tl::unexpected(failSpotty(context, job.error()));
  const auto ready = StartFollower(context, connection.address(), *job).follow();
  if (ready && *ready) return {};
  if (ready) {
    const auto ended = awaitMachinesEnd(connection, *job);
    if (!ended) return tl::unexpected(failSpotty(context, ended.error()));
    return tl::unexpected(failSpotty(
        context, {ErrorCode::failed_precondition,
                  strCat({"the instance did not start: ", cleaned(ended->reason), "; no machine is left"})}));
  }
  (void)connection.post("/v1/jobs/" + job->toString() + "/cancel", "{}");
  return tl::unexpected(failSpotty(context, ready.error()));
}

int stopWorkspace(const Context& context, Connection& connection, const SpottyChoice& choice,
                  const api::JobView& job) {
  auto answer = connection.post("/v1/jobs/" + job.id.toString() + "/cancel", "{}");
  if (!answer) return failSpotty(context, answer.error());
  context.print("  - terminating the instance... ");
  if (const auto ended = awaitMachinesEnd(connection, job.id); !ended)
    return failSpotty(context, ended.error());
  context.print("DONE\n");
  if (choice.instance.provider != spotty::ProviderKind::aws) return 0;
  const Status told = VolumesFollower(context, connection, choice, job.id).follow();
  return told ? 0 : failSpotty(context, told.error());
}

Result<std::optional<api::MachineView>> machineOf(Connection& connection, const api::JobView& job) {
  if (job.machines.empty()) return std::nullopt;
  BUOY_TRY(const std::string body, connection.get("/v1/machines/" + job.machines.front().toString()));
  BUOY_TRY(api::MachineView machine, api::parseMachine(body));
  return std::optional(std::move(machine));
}

Result<std::unique_ptr<Reach>> reachOnAws(Connection& connection, const SpottyChoice& choice,
                                          const api::JobView& job) {
  BUOY_TRY(const std::optional<api::MachineView> machine, machineOf(connection, job));
  if (!machine || machine->provider_ref.empty())
    return fail(ErrorCode::failed_precondition,
                strCat({titleOf(choice), " has no machine now: ", cleaned(job.reason)}));
  SshPlace place{.user = userOf(connection, job.id),
                 .host = "127.0.0.1",
                 .key = keyFileOf(choice),
                 .port = choice.parameters.local_ssh_port,
                 .known = false,
                 .tunnels = declaresPorts(choice),
                 .agent = strCat({choice.directory, "/", api::kWorkspaceProgram}),
                 .as_root = false};
  if (place.port == 0) {
    place.port = kSshPort;
    BUOY_TRY(const cloud::aws::Instance instance, instanceOnAws(choice, machine->provider_ref));
    place.host = instance.public_address.empty() ? instance.private_address : instance.public_address;
  }
  place.as_root = place.user != "root";
  return reachBySsh(choice, std::move(place));
}

tl::expected<std::unique_ptr<Reach>, int> reachRunning(const Context& context, const SpottyChoice& choice) {
  Result<std::unique_ptr<Reach>> reach = nullptr;
  switch (choice.instance.provider) {
    case spotty::ProviderKind::local:
      reach = reachLocal(choice, true);
      break;
    case spotty::ProviderKind::remote:
      reach = reachBySsh(choice, placeOf(choice));
      break;
    case spotty::ProviderKind::aws: {
      auto connection = connect(context);
      if (!connection) return tl::unexpected(connection.error());
      const auto job = workspaceJob(**connection, choice);
      if (!job) return tl::unexpected(failSpotty(context, job.error()));
      if (*job) reach = reachOnAws(**connection, choice, **job);
      break;
    }
    case spotty::ProviderKind::gcp:
      break;
  }
  if (!reach) return tl::unexpected(failSpotty(context, reach.error()));
  if (*reach == nullptr) return tl::unexpected(notRunning(context, choice));
  return std::move(*reach);
}

std::vector<std::string> workspaceLines(Connection& connection, JobId job) {
  const auto body =
      connection.get(strCat({"/v1/jobs/", job.toString(), "/logs?tail=", std::to_string(kTail)}));
  std::vector<std::string> lines;
  if (!body) return lines;
  for (const std::string_view text : split(*body, '\n')) {
    const auto line =
        text.empty() ? Result<api::LogLineView>(fail(ErrorCode::not_found, "")) : api::parseLogLine(text);
    if (line && line->text.starts_with(api::kWorkspaceSign))
      lines.push_back(cleaned(line->text.substr(api::kWorkspaceSign.size())));
  }
  return lines;
}

}  // namespace buoy::cli
