#include "agent/job_container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>

#include "agent/container_process.h"
#include "agent/container_sweep.h"
#include "api/input_source.h"
#include "base/pause.h"
#include "base/strings.h"
#include "container/build_context.h"
#include "container/create_request.h"
#include "container/init/protocol.h"
#include "container/init_program.h"
#include "container/registry_auth.h"
#include "net/sockets.h"
#include "os/child.h"
#include "os/files.h"
#include "os/log.h"
#include "os/paths.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;
using container::Engine;
using container::Volume;

constexpr Duration kInitPatience = std::chrono::seconds{60};
constexpr Duration kLookAtContainerEvery = std::chrono::milliseconds{500};
constexpr std::uint64_t kLongestSecret = 64 * 1024;

// What the job could do nothing about by being tried again here is a failure of its setup.
Error asSetupError(Error error) {
  if (error.code == ErrorCode::failed_precondition || error.code == ErrorCode::not_found)
    error.code = ErrorCode::invalid_argument;
  return error;
}

// A disk that is full stays so.
template <class T>
T settled(T result) {
  if (result) return result;
  Error error = asSetupError(result.error());
  if (error.code == ErrorCode::resource_exhausted) {
    error.code = ErrorCode::invalid_argument;
    error.message = "the machine's disk is full: " + error.message;
  }
  return tl::unexpected(std::move(error));
}

// The file that a secret is in, without the newline that editors put at its end.
Result<std::string> secretIn(const std::string& name, const std::string& file) {
  auto text = os::readFile(file, kLongestSecret);
  if (!text)
    return fail(ErrorCode::invalid_argument,
                strCat({"container.secrets.", name, ": ", text.error().message}));
  while (text->ends_with('\n')) text->pop_back();
  return text;
}

// Lower-case letters, digits and '-': what an image's name may have.
std::string imageNameFrom(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) out += static_cast<char>(std::tolower(byte));
    if (std::isalnum(byte) == 0 && !out.empty() && out.back() != '-') out += '-';
  }
  while (out.ends_with('-')) out.pop_back();
  return strCat({"localhost/buoy/", out.empty() ? "job" : out, ":latest"});
}

// Zero: no limit.
ByteCount smallerLimit(ByteCount a, ByteCount b) {
  return a.value == 0 || b.value == 0 ? std::max(a, b) : std::min(a, b);
}

void changeOwner(const std::string& path, uid_t uid, gid_t gid) {
  if (::lchown(path.c_str(), uid, gid) != 0)
    os::log(os::LogLevel::warn, "chown_failed", {{"path", path}, {"errno", errno}});
}

}  // namespace

JobContainer::JobContainer(const Setup& setup) : paths_(setup.paths), spec_(*setup.spec.container) {}

JobContainer::~JobContainer() {
  close();
}

Result<std::shared_ptr<JobContainer>> JobContainer::open(const Setup& setup) {
  std::shared_ptr<JobContainer> made(new JobContainer(setup));
  BUOY_TRY(made->args_, container::parseRunArgs(made->spec_.runtime_args));
  BUOY_TRY(made->lock_, os::openFile(containerLock(setup.paths.job()), O_RDWR | O_CREAT, 0600));
  if (::flock(made->lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::unavailable, "another agent works in " + setup.paths.job(), true);
  BUOY_TRY_VOID(settled(made->connect(setup)));
  if (made->local_) sweepContainers(*made->engine_, setup.paths.job());
  const std::stop_callback cancel(setup.stop, [&] { made->engine_->cancel(); });
  BUOY_TRY_VOID(settled(made->haveImage(setup)));
  return made;
}

// ---- the runtime

Status JobContainer::connect(const Setup& setup) {
  std::string endpoint;
  if (!setup.config.container_socket.empty()) {
    endpoint = "unix:" + setup.config.container_socket;
    where_ = endpoint;
  } else {
    BUOY_TRY(const container::Runtime runtime, container::findRuntime(setup.environment));
    endpoint = runtime.endpoint;
    where_ = runtime.description;
    if (runtime.kind == container::Runtime::Kind::podman) {
      // Podman needs no daemon: it serves this agent, and ends with it.
      BUOY_TRY(auto service, container::PodmanService::start(runtime.program, paths_.root + "/podman.sock",
                                                             entriesOf(setup.environment)));
      endpoint = service_.emplace(std::move(service)).endpoint();
    }
  }
  endpoint_ = endpoint;
  local_ = endpoint.starts_with("unix:");
  auto engine = Engine::connect(endpoint_, {});
  if (!engine) return fail(engine.error().wrap("the container engine at " + where_));
  engine_ = std::move(*engine);
  return {};
}

// ---- the image

Status JobContainer::haveImage(const Setup& setup) {
  if (!spec_.file.empty()) return build(setup);
  auto found = engine_->image(spec_.image);
  if (!found && found.error().code == ErrorCode::not_found) {
    BUOY_TRY_VOID(pull(setup));
    found = engine_->image(spec_.image);
  }
  if (!found) return fail(found.error().wrap("image " + spec_.image));
  image_ = std::move(*found);
  return {};
}

Status JobContainer::pull(const Setup& setup) {
  setup.on_output(strCat({"buoy: pulling ", spec_.image, "\n"}));
  const auto pulled =
      engine_->pull(spec_.image, container::registryCredentials(spec_.image, setup.environment),
                    [&](std::string_view text) { setup.on_output(std::string(text)); });
  if (pulled) {
    events_.push_back(strCat({"pulled ", spec_.image, " (", where_, ")"}));
    return {};
  }
  return fail(pulled.error().wrap("image " + spec_.image));
}

Status JobContainer::build(const Setup& setup) {
  const std::string below = spec_.context.empty() ? os::parentOf(spec_.file) : spec_.context;
  const std::string prefix = below == "." ? "" : below + "/";
  const std::string context = strCat({paths_.work(), "/", below});
  if (!spec_.file.starts_with(prefix))
    return fail(ErrorCode::invalid_argument,
                strCat({"container.file: ", spec_.file, " is not in the build's context ", below}));
  Engine::Build build;
  build.dockerfile = spec_.file.substr(prefix.size());
  BUOY_TRY(const container::ContextArchive archive,
           container::archiveContext(context, build.dockerfile, paths_.root));
  build.context = archive.file.get();
  build.context_size = archive.size;
  build.tag = imageNameFrom(setup.spec.name);
  build.args = spec_.build_args;
  if (spec_.user == "host") {
    build.args.emplace("USER_ID", std::to_string(::geteuid()));
    build.args.emplace("GROUP_ID", std::to_string(::getegid()));
  }
  setup.on_output(strCat({"buoy: building ", spec_.file, " (", std::to_string(archive.files), " files, ",
                          formatByteCount(ByteCount{archive.size}), ")\n"}));
  const auto built =
      engine_->build(build, [&](std::string_view text) { setup.on_output(std::string(text)); });
  if (!built) return fail(built.error().wrap("the build of " + spec_.file));
  BUOY_TRY(image_, engine_->image(*built));
  events_.push_back(strCat({"built ", spec_.file, " (", where_, ")"}));
  return {};
}

// ---- the container

Result<std::vector<std::string>> JobContainer::command(const Setup& setup) const {
  std::vector<std::string> words = {strCat({paths_.job(), "/", container::kInitProgram}), paths_.job()};
  const auto append = [&](const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
  };
  if (spec_.command.empty() && !setup.spec.run.empty()) {
    append({"/bin/sh", "-c", setup.spec.run});
    return words;
  }
  append(args_.entrypoint.value_or(image_.entrypoint));
  append(spec_.command.empty() ? image_.command : spec_.command);
  if (words.size() > 2) return words;
  return fail(ErrorCode::invalid_argument, "the job has no command, and its image names none: add 'run'");
}

Result<std::string> JobContainer::createBody(const Setup& setup) {
  container::CreateRequest request;
  request.image = image_.id;
  request.spec = spec_;
  request.args = args_;
  BUOY_TRY(request.command, command(setup));
  request.labels = {{kContainerOwnerLabel, paths_.job()},
                    {"buoy.job", setup.message.directive.job.toString()},
                    {"buoy.machine", setup.config.machine.toString()}};
  const bool as_host = spec_.user == "host";
  request.user =
      as_host ? strCat({std::to_string(::geteuid()), ":", std::to_string(::getegid())}) : spec_.user;
  request.podman = engine_->isPodman();
  request.keep_id = as_host && request.podman && ::geteuid() != 0;
  using container::Network;
  request.host_network =
      spec_.network == Network::host || (spec_.network == Network::automatic && setup.spec.machines > 1);
  request.gpus = spec_.gpus.value_or(setup.spec.resources.gpus);
  if (setup.config.part) BUOY_TRY_VOID(container::takeDevicesOf(setup.config.devices, request));
  request.milli_cpus = setup.config.milli_cpus;
  request.cpu_shares = std::max<std::int64_t>(2, std::int64_t{setup.spec.resources.milli_cpus} * 1024 / 1000);
  memory_ = smallerLimit(setup.spec.resources.memory, setup.config.memory);
  request.memory = memory_;
  BUOY_TRY(request.mounts, mounts(setup));
  return container::createBody(request);
}

// The workspace is where the job expects it and where the machine has it, so that both kinds of paths hold;
// inputs and what Buoy tells are where they are for a process.
Result<std::vector<Volume>> JobContainer::mounts(const Setup& setup) const {
  std::vector<Volume> all;
  const auto add = [&](Volume volume) {
    const bool taken =
        std::any_of(all.begin(), all.end(), [&](const Volume& each) { return each.path == volume.path; });
    if (!taken) all.push_back(std::move(volume));  // a runtime refuses one that stands twice
  };
  for (std::size_t i = 0; i < spec_.volumes.size(); ++i) {
    Volume volume = spec_.volumes[i];
    const bool own = volume.host.empty();
    if (own) volume.host = strCat({paths_.volumes(), "/", std::to_string(i)});
    std::error_code error;
    if (!fs::exists(volume.host, error)) BUOY_TRY_VOID(os::makeDirectories(volume.host));
    if (own) ::chmod(volume.host.c_str(), 01777);
    add(std::move(volume));
  }
  add({paths_.job(), paths_.job(), true});
  add({paths_.work(), paths_.work(), false});
  add({paths_.work(), spec_.project_dir, false});
  add({paths_.inputs(), paths_.inputs(), true});
  // Where links among the inputs lead.
  for (const auto& [name, input] : setup.spec.inputs) {
    const auto source = api::parseInputSource(input.from);
    std::error_code error;
    if (!source || source->kind != api::InputSource::Kind::path || !source->path.starts_with('/')) continue;
    const fs::path target = fs::canonical(source->path, error);
    if (!error) add({target.string(), source->path, true});
  }
  const auto keep = [&](const std::string& name, const std::string& mount) {
    const std::string path = mount.empty() ? "/mnt/" + name : mount;
    add({path, path, false});
  };
  for (const auto& volume : setup.spec.storage.volumes) keep(volume.name, volume.mount);
  for (const auto& shared : setup.spec.storage.file_systems) keep(shared.name, shared.mount);
  return all;
}

Status JobContainer::start(const Setup& setup) {
  const std::stop_callback cancel(setup.stop, [&] { engine_->cancel(); });
  return settled(startUnsettled(setup));
}

Status JobContainer::startUnsettled(const Setup& setup) {
  const std::string program = strCat({paths_.job(), "/", container::kInitProgram});
  BUOY_TRY_VOID(os::writeFileAtomic(program, container::initProgram(), 0755));
  ::chmod(paths_.job().c_str(), 0755);
  ::chmod(paths_.inputs().c_str(), 0755);
  const std::string socket = strCat({paths_.job(), "/", container::kInitSocket});
  BUOY_TRY(const net::UnixListener listener, net::listenOnUnixSocket(socket));
  ::chmod(socket.c_str(), 0666);
  BUOY_TRY(const std::string body, createBody(setup));
  auto created = engine_->create(args_.name, body);
  if (!created) return fail(created.error().wrap("the container"));
  id_ = std::move(*created);
  if (const Status started = engine_->start(id_); !started) {
    return fail(started.error().wrap("the container"));
  }
  BUOY_TRY(connection_, acceptInit(setup, listener.fd.get()));
  BUOY_TRY_VOID(giveWorkspace(paths_));
  tellPorts();
  if (spec_.commands.empty()) return {};
  return runStartupCommands(setup, listener.fd.get());
}

// For the history: where what listens in the container is found.
void JobContainer::tellPorts() {
  if (spec_.ports.empty() && args_.ports.empty()) return;
  const auto state = engine_->inspect(id_);
  if (!state) return;
  for (const auto& [inside, outside] : state->ports)
    events_.push_back(strCat({"port ", inside, " of the container is port ", outside, " of the machine"}));
}

Result<os::Fd> JobContainer::acceptInit(const Setup& setup, int listener) {
  const auto end = std::chrono::steady_clock::now() + kInitPatience;
  for (;;) {
    pollfd waiting = {listener, POLLIN, 0};
    const int ready =
        ::poll(&waiting, 1,
               static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(kLookAtContainerEvery).count()));
    if (ready > 0) {
      os::Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      if (connection) return connection;
    }
    if (setup.stop.stop_requested()) return fail(ErrorCode::cancelled, "the job was stopped");
    const auto state = engine_->inspect(id_);
    if (state && !state->running) {
      std::string why = state->error.empty() ? engine_->lastWords(id_) : state->error;
      return fail(ErrorCode::invalid_argument, strCat({"the container ended at once with code ",
                                                       std::to_string(state->exit_code), ": ", why}));
    }
    if (std::chrono::steady_clock::now() >= end)
      return fail(ErrorCode::unavailable, "the container does not begin", true);
  }
}

// Whoever the job runs as is to write into its workspace.
Status JobContainer::giveWorkspace(const MachinePaths& paths) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(connection_.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return failErrno(errno, "see whom the container runs as");
  if (who.uid == ::geteuid() || ::geteuid() != 0) return {};
  changeOwner(paths.work(), who.uid, who.gid);
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(paths.work(), error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error))
    changeOwner(at->path().string(), who.uid, who.gid);
  return {};
}

// By a second init beside the one that waits, as root.
Status JobContainer::runStartupCommands(const Setup& setup, int listener) {
  BUOY_TRY_VOID(engine_->execute(
      id_,
      {strCat({paths_.job(), "/", container::kInitProgram}), paths_.job(), "/bin/sh", "-c", spec_.commands},
      "0"));
  BUOY_TRY(const os::Fd connection, acceptInit(setup, listener));
  BUOY_TRY(os::Pipe pipe, os::makePipe());
  BUOY_TRY_VOID(sendRun(connection.get(), pipe.write.get(), pipe.write.get(), {}));
  pipe.write.reset();
  std::string told;
  for (;;) {
    std::array<pollfd, 2> waiting = {{{connection.get(), POLLIN, 0}, {pipe.read.get(), POLLIN, 0}}};
    if (!pipe.read) waiting[1].fd = -1;
    ::poll(waiting.data(), waiting.size(), 200);
    if (setup.stop.stop_requested()) return fail(ErrorCode::cancelled, "the job was stopped");
    std::array<char, 16 * 1024> bytes;
    if (waiting[1].revents != 0) {
      const ssize_t got = ::read(pipe.read.get(), bytes.data(), bytes.size());
      if (got > 0) setup.on_output(std::string(bytes.data(), static_cast<std::size_t>(got)));
      if (got == 0) pipe.read.reset();
    } else if (waiting[0].revents != 0) {
      const ssize_t got = ::recv(connection.get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) break;
      told.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  const auto at = told.find("exit ");
  const int code = at == std::string::npos ? 137 : std::atoi(told.c_str() + at + 5);
  if (code == 0) return {};
  return fail(ErrorCode::invalid_argument,
              strCat({"the container's startup commands ended with exit code ", std::to_string(code)}));
}

Result<Variables> JobContainer::environment(Variables job) const {
  Variables own = spec_.env;
  for (const auto& [name, value] : args_.env) own[name] = value;
  for (auto& [name, value] : own) value = container::expandVariables(value, job);
  for (const auto& [name, file] : spec_.secrets) {
    BUOY_TRY(own[name], secretIn(name, file));
  }
  if (spec_.user == "host") {
    own.emplace("HOST_USER_ID", std::to_string(::geteuid()));
    own.emplace("HOST_GROUP_ID", std::to_string(::getegid()));
  }
  own.merge(job);
  return own;
}

void JobContainer::close() {
  connection_.reset();
  if (!id_.empty()) {
    // Not the client that may have been cancelled.
    auto engine = Engine::connect(endpoint_, {});
    const Status removed = engine ? (*engine)->remove(id_) : Status(tl::unexpect, engine.error());
    if (removed) {
      ::unlink(strCat({paths_.job(), "/", container::kInitSocket}).c_str());  // nobody need look for it
    } else {
      os::log(os::LogLevel::warn, "container_left", {{"container", id_}, {"error", removed.error().message}});
    }
    id_.clear();
  }
  engine_.reset();
  service_.reset();
  // What podman left to this process, as a subreaper.
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

}  // namespace buoy::agent
