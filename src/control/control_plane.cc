#include "control/control_plane.h"

#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <map>

#include "base/strings.h"
#include "control/answers.h"
#include "control/aws_doors.h"
#include "control/dispatcher.h"
#include "control/market_memory.h"
#include "control/services.h"
#include "control/tokens.h"
#include "os/files.h"
#include "os/log.h"
#include "os/paths.h"
#include "os/system_clock.h"
#include "schedule/scheduler.h"

namespace buoy::control {
namespace {

constexpr const char* kClusterKey = "cluster";
constexpr int kProviderThreads = 4;
constexpr int kIoThreads = 2;
constexpr std::size_t kIoWaiting = 4096;
constexpr int kCertificateDays = 3650;

Result<std::string> clusterId(store::Store& store) {
  BUOY_TRY(const auto kept, store.value(kClusterKey));
  if (kept) return *kept;
  BUOY_TRY(const std::string secret, makeSecret());
  const std::string fresh = "c" + secret.substr(0, 12);
  BUOY_TRY_VOID(store.putValue(kClusterKey, fresh));
  return fresh;
}

std::string hostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

}  // namespace

// Members are destroyed in the reverse of their order: what is used stands above its users.
struct ControlPlane::Impl {
  ControlOptions options;
  Paths paths;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<schedule::Scheduler> scheduler;  // where the options name no policy
  std::unique_ptr<Clock> clock;
  Time started{};
  std::string cluster;
  std::unique_ptr<objstore::ObjectStore> objects;
  std::unique_ptr<Access> access;
  std::unique_ptr<AccessKeys> keys;
  std::unique_ptr<AgentHub> hub;
  std::unique_ptr<LogStore> logs;
  Feed feed;
  Catalog catalog;
  std::map<std::string, std::string>
      container_problems;  // by provider, as told last; the reaper's after start
  Timer timer;
  SerialWorkers io{kIoThreads, kIoWaiting};
  SerialWorkers provider_workers{kProviderThreads, SIZE_MAX};
  SerialWorkers planner{1, SIZE_MAX};
  SerialWorkers reaper{1, 1};
  std::stop_source reaping;  // what the reaper asks of clouds
  Providers providers;
  std::unique_ptr<Dispatcher> dispatcher;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Services> services;
  std::unique_ptr<AwsDoors> aws_doors;
  Router router;
  std::string fingerprint;
  std::vector<std::string> endpoints;
  std::unique_ptr<net::Server> server;
  // Events that providers tell before there is a writer.
  Synchronized<std::vector<engine::Event>> early;
  std::atomic<Writer*> sink = nullptr;
  bool all_reaped = false;
  std::atomic<bool> ready = false;  // until then those who ask are told to come again

  Status start();
  void stop();
  Status openState();
  Status openProviders();
  Status makeWriter();
  Status listenElsewhere();
  Status startWriter();
  Status putConfigured();
  Status listenHere();
  Status makeServer();
  Status listenTcp(const ControlOptions::Listen& where);
  std::vector<std::string> certificateNames() const;
  Result<net::TlsFiles> certificate();
  Status firstToken();
  void emit(engine::Event event);
  api::ServerView describe();
  api::AgentConfig agentConfig() const;
  api::RemoteEndpoint remoteEndpoint() const;
  void reapAfter(Duration delay);
  void lookAtContainers();
  void releaseStorage();
  void tell(JobId job, std::string detail);
};

Status ControlPlane::Impl::start() {
  BUOY_TRY_VOID(openState());
  BUOY_TRY_VOID(openProviders());
  BUOY_TRY_VOID(makeWriter());
  // Before the writer: the first thing that it does is to launch again what had not answered, and a machine
  // elsewhere is told this address and this certificate.
  BUOY_TRY_VOID(listenElsewhere());
  BUOY_TRY_VOID(startWriter());
  BUOY_TRY_VOID(listenHere());
  for (const std::string& endpoint : endpoints)
    os::log(os::LogLevel::info, "listening", {{"endpoint", endpoint}});
  return {};
}

Status ControlPlane::Impl::openState() {
  paths.root = options.state_dir;
  BUOY_TRY_VOID(os::makeDirectories(paths.root, 0700));
  BUOY_TRY(store, store::openSqliteStore(paths.database()));
  if (!options.policy) {
    scheduler = std::make_unique<schedule::Scheduler>(std::make_shared<schedule::spot::LearningPlanners>(
        [this](const engine::SpotSource& source) { return recall(*store, source); }));
    options.policy = scheduler.get();
  }
  BUOY_TRY(const Time latest, store->latestTime());
  clock = options.clock ? options.clock(latest) : std::make_unique<os::SystemClock>(latest);
  started = clock->now();
  BUOY_TRY(cluster, clusterId(*store));
  const std::string uri =
      options.config.store.empty() ? "file://" + paths.defaultStore() : options.config.store;
  BUOY_TRY(objects, objstore::openStore(uri));
  BUOY_TRY(access, Access::open(*store, paths.machineKey()));
  BUOY_TRY(keys, AccessKeys::open(*store, access->machineKey()));
  hub = std::make_unique<AgentHub>(*clock);
  logs = std::make_unique<LogStore>(paths.root + "/logs");
  return {};
}

Status ControlPlane::Impl::openProviders() {
  BUOY_TRY(
      providers,
      options.providers({paths.root, cluster, *clock, [this](engine::Event event) { emit(std::move(event)); },
                         [this](JobId job, std::string detail) { tell(job, std::move(detail)); }}));
  return {};
}

void ControlPlane::Impl::emit(engine::Event event) {
  Writer* target = sink.load();
  if (target == nullptr) {
    const auto waiting = early.lock();
    target = sink.load();
    if (target == nullptr) {
      waiting->push_back(std::move(event));
      return;
    }
  }
  Submission submission;
  submission.events.push_back(std::move(event));
  target->post(std::move(submission));
}

// Told by a provider, once: an instant is number enough.
void ControlPlane::Impl::tell(JobId job, std::string detail) {
  Writer* target = sink.load();
  if (target == nullptr) return;
  const Time now = clock->now();
  Submission submission;
  store::AgentRecord told;
  told.record.at = now;
  told.record.job = job;
  told.record.kind = "storage";
  told.record.detail = std::move(detail);
  told.number = static_cast<std::uint64_t>(now.time_since_epoch().count());
  submission.agent_records.push_back(std::move(told));
  target->post(std::move(submission));
}

api::AgentConfig ControlPlane::Impl::agentConfig() const {
  api::AgentConfig agent;
  agent.cluster = cluster;
  agent.server = "unix:" + paths.socket();
  agent.store = objects->uri();
  agent.heartbeat = options.settings.lease / 3;
  agent.orphan_after = options.orphan_after;
  return agent;
}

api::RemoteEndpoint ControlPlane::Impl::remoteEndpoint() const {
  if (!options.config.advertise.empty()) {
    const bool tls = options.config.advertise.starts_with("https://");
    return {options.config.advertise, tls ? fingerprint : ""};
  }
  // An address that means this machine to others as well.
  for (const std::string& endpoint : endpoints) {
    const auto parsed = net::parseEndpoint(endpoint);
    if (!parsed || parsed->kind == net::Endpoint::Kind::unix_socket) continue;
    const std::string& host = parsed->host;
    if (host == "0.0.0.0" || host == "::" || host == "localhost" || host == "::1" || host.starts_with("127."))
      continue;
    return {endpoint, fingerprint};
  }
  return {};
}

Status ControlPlane::Impl::makeWriter() {
  engine::State state;
  BUOY_TRY_VOID(store->load(state));
  dispatcher = std::make_unique<Dispatcher>(Dispatcher::Context{
      *store, *hub, catalog, feed, *access, providers, provider_workers, planner, *options.policy, *clock,
      cluster, agentConfig(), [this] { return remoteEndpoint(); },
      [this](engine::Event event) { emit(std::move(event)); }});
  BUOY_TRY_VOID(dispatcher->adopt(state));
  all_reaped = dispatcher->reap(state);
  Writer::Options writing;
  writing.settings = options.settings;
  writing.policy = options.policy;
  writing.clock = clock.get();
  writer = std::make_unique<Writer>(*store, std::move(state), *dispatcher, std::move(writing));
  return {};
}

Status ControlPlane::Impl::startWriter() {
  writer->start();
  BUOY_TRY_VOID(putConfigured());
  std::vector<engine::Event> waiting;
  {
    const auto guard = early.lock();
    waiting.swap(*guard);
    sink = writer.get();
  }
  for (engine::Event& event : waiting) emit(std::move(event));
  lookAtContainers();  // before the first job is placed
  ready = true;
  if (all_reaped) {
    reaper.post(0, [this] { releaseStorage(); });
    reapAfter(options.reap_every);
  } else {
    reapAfter(Duration{0});  // which releases, too
  }
  return {};
}

// Whether a runtime was installed or went away.
void ControlPlane::Impl::lookAtContainers() {
  for (const auto& [name, provider] : providers) {
    std::string problem = provider->containerProblem();
    auto [told, is_new] = container_problems.try_emplace(name);
    if (!is_new && told->second == problem) continue;
    told->second = problem;
    emit(engine::ContainersChanged{name, std::move(problem)});
  }
}

// What jobs that have ended still keep, perhaps since before this start. On the reaper's thread: it asks.
void ControlPlane::Impl::releaseStorage() {
  auto keeping = std::make_shared<std::vector<JobId>>(dispatcher->storageJobs(reaping.get_token()));
  if (keeping->empty()) return;
  writer->look([this, keeping](const engine::State& state) { dispatcher->releaseEnded(state, *keeping); });
}

// A machine may be nobody's at any time: its launch's answer was lost and the launch given up, or the
// provider did not show it when it was looked for.
void ControlPlane::Impl::reapAfter(Duration delay) {
  timer.after(delay, [this] {
    const bool taken = reaper.post(0, [this] {
      bool all = true;
      auto listed = std::make_shared<std::vector<Orphan>>(
          dispatcher->listed(Dispatcher::Reach::everywhere, reaping.get_token(), &all));
      writer->look([this, listed](const engine::State& state) { dispatcher->endOrphans(state, *listed); });
      lookAtContainers();
      releaseStorage();
      reapAfter(all ? options.reap_every : options.reap_retry);
    });
    if (!taken) reapAfter(options.reap_retry);  // it is at work still
  });
}

// A pool or queue of the configuration is put when its text is not the one that was put last: prices that the
// market has moved since, and what was changed through the API, stay.
Status ControlPlane::Impl::putConfigured() {
  const auto put = [&](const std::string& key, std::string text, engine::Event event) -> Status {
    BUOY_TRY(const auto before, store->value(key));
    if (before == text) return {};
    auto done = std::make_shared<std::promise<Status>>();
    auto future = done->get_future();
    Submission submission;
    submission.events.push_back(std::move(event));
    submission.done = [done](const Result<engine::Reply>& reply, const engine::State&) {
      done->set_value(reply ? Status{} : Status(tl::unexpect, reply.error()));
    };
    writer->post(std::move(submission));
    BUOY_TRY_VOID(future.get());
    return store->putValue(key, text);
  };
  for (engine::Pool pool : options.config.pools) {
    BUOY_TRY_VOID(keepRecordings(*store, pool));
    // What this version knows of its types may be other than what the last one knew: that puts nothing.
    const auto written = options.config.written.find(pool.name);
    std::string text =
        written == options.config.written.end()
            ? api::toJson(pool)
            : strCat({written->second, "\n", join(pool.learn, ","), "\n", pool.provider_config});
    BUOY_TRY_VOID(put("config/pool/" + pool.name, std::move(text), engine::PutPool{pool}));
  }
  for (const engine::Queue& queue : options.config.queues) {
    BUOY_TRY_VOID(put("config/queue/" + queue.name, api::toJson(queue), engine::PutQueue{queue}));
  }
  return {};
}

Status ControlPlane::Impl::makeServer() {
  std::vector<std::string> names, with_storage;
  for (const auto& [name, provider] : providers) {
    names.push_back(name);
    if (provider->hasStorage()) with_storage.push_back(name);
  }
  services = std::make_unique<Services>(Services{paths,
                                                 *clock,
                                                 *store,
                                                 *writer,
                                                 *hub,
                                                 *logs,
                                                 feed,
                                                 catalog,
                                                 *access,
                                                 *keys,
                                                 *objects,
                                                 io,
                                                 timer,
                                                 cluster,
                                                 std::move(names),
                                                 std::move(with_storage),
                                                 [this] { return describe(); },
                                                 [this] { return fingerprint; },
                                                 [this] {
                                                   if (options.on_stop_requested) options.on_stop_requested();
                                                 },
                                                 *options.policy,
                                                 options.settings});
  BUOY_TRY(aws_doors, AwsDoors::open(*services, *keys, options.unsigned_aws));
  addServerRoutes(router, *services);
  addJobRoutes(router, *services);
  addStreamRoutes(router, *services);
  addMachineRoutes(router, *services);
  addWhyRoutes(router, *services);
  addPoolRoutes(router, *services);
  addKeyRoutes(router, *services);
  addBlobRoutes(router, *services);
  addAgentRoutes(router, *services);
  net::ServerOptions serving;
  serving.threads = options.http_threads;
  serving.admit = [this](const net::Request& request) -> std::optional<net::Response> {
    if (!ready)
      return errorResponse({ErrorCode::unavailable, "the control plane is starting; try again", true});
    if (AwsDoors::concerns(request)) return aws_doors->admit(request);
    const Status allowed = access->admit(request);
    if (allowed) return std::nullopt;
    return errorResponse(allowed.error());
  };
  server = net::makeServer(serving, [this](net::Request request, std::shared_ptr<net::Responder> responder) {
    if (AwsDoors::concerns(request)) return aws_doors->handle(std::move(request), std::move(responder));
    router.dispatch(std::move(request), std::move(responder));
  });
  return {};
}

Status ControlPlane::Impl::listenElsewhere() {
  BUOY_TRY_VOID(makeServer());
  // Known before anybody can ask for them.
  endpoints.push_back("unix:" + paths.socket());
  for (const ControlOptions::Listen& where : options.listen) BUOY_TRY_VOID(listenTcp(where));
  return {};
}

// Last: whoever finds the socket finds everything else.
Status ControlPlane::Impl::listenHere() {
  return server->listenUnix(paths.socket());
}

Status ControlPlane::Impl::listenTcp(const ControlOptions::Listen& where) {
  BUOY_TRY_VOID(firstToken());
  std::optional<net::TlsFiles> tls;
  if (!options.insecure) {
    BUOY_TRY(tls, certificate());
    BUOY_TRY(fingerprint, net::certificateFingerprint(tls->certificate));
  }
  BUOY_TRY(const std::uint16_t port, server->listenTcp(where.host, where.port, tls));
  net::Endpoint endpoint;
  endpoint.kind = tls ? net::Endpoint::Kind::tls : net::Endpoint::Kind::tcp;
  endpoint.host = where.host;
  endpoint.port = port;
  endpoints.push_back(endpoint.toString());
  return {};
}

// Clients that go by the certificate itself, and not by its fingerprint, want the name that they called.
std::vector<std::string> ControlPlane::Impl::certificateNames() const {
  std::vector<std::string> names{hostName(), "localhost", "127.0.0.1", "::1"};
  const auto add = [&](const std::string& name) {
    const bool wildcard = name.empty() || name == "0.0.0.0" || name == "::";
    if (!wildcard && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const ControlOptions::Listen& where : options.listen) add(where.host);
  if (const auto advertised = net::parseEndpoint(options.config.advertise)) add(advertised->host);
  return names;
}

Result<net::TlsFiles> ControlPlane::Impl::certificate() {
  if (options.tls) return *options.tls;
  net::TlsFiles files{paths.tls() + "/certificate.pem", paths.tls() + "/key.pem"};
  if (os::exists(files.certificate) && os::exists(files.key)) return files;
  BUOY_TRY_VOID(os::makeDirectories(paths.tls(), 0700));
  BUOY_TRY_VOID(net::makeSelfSignedCertificate(files, certificateNames(), kCertificateDays));
  return files;
}

Status ControlPlane::Impl::firstToken() {
  if (os::exists(paths.token())) return {};
  BUOY_TRY(const std::string token, access->createToken());
  return os::writeFileAtomic(paths.token(), token + "\n", 0600);
}

api::ServerView ControlPlane::Impl::describe() {
  api::ServerView view;
  view.version = BUOY_VERSION;
  view.pid = ::getpid();
  view.started = started;
  view.state_dir = paths.root;
  view.endpoints = endpoints;
  view.cluster = cluster;
  view.store = objects->uri();
  view.unfinished = store->countJobs(false).value_or(0);
  view.finished = store->countJobs(true).value_or(0);
  return view;
}

void ControlPlane::Impl::stop() {
  server.reset();  // no request any more, and no stream
  timer.stop();
  reaping.request_stop();
  reaper.stop();
  planner.stop();
  if (writer) writer->stop();
  provider_workers.stop();
  io.stop();
  providers.clear();  // leaves the machines alone; no event comes after this
}

ControlPlane::ControlPlane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<ControlPlane>> ControlPlane::start(ControlOptions options) {
  BUOY_CHECK(options.providers != nullptr);
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  std::unique_ptr<ControlPlane> plane(new ControlPlane(std::move(impl)));
  BUOY_TRY_VOID(plane->impl_->start());
  return plane;
}

ControlPlane::~ControlPlane() {
  stop();
}
void ControlPlane::stop() {
  impl_->stop();
}
std::vector<std::string> ControlPlane::endpoints() const {
  return impl_->endpoints;
}
std::string ControlPlane::fingerprint() const {
  return impl_->fingerprint;
}
void ControlPlane::wake() {
  impl_->writer->wake();
}

}  // namespace buoy::control
