#include "container/runtime.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/shell.h"
#include "base/strings.h"
#include "os/fd.h"

namespace buoy::container {
namespace {

constexpr const char* kNeitherIsThere =
    "this machine has neither docker nor podman: install one of them, or let DOCKER_HOST name a socket";

std::string valueIn(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

bool somebodyAnswers(const std::string& path) {
  const os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (!fd || path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::string programInPath(const Environment& environment, const std::string& name) {
  std::string path = valueIn(environment, "PATH");
  if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string_view directory : split(path, ':')) {
    std::string candidate = strCat({directory, "/", name});
    if (directory.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Result<Runtime> named(const std::string& variable, const std::string& value) {
  Runtime runtime;
  runtime.description = strCat({value, " (", variable, ")"});
  constexpr std::string_view kUnix = "unix://", kTcp = "tcp://";
  if (value.starts_with(kUnix)) {
    const std::string path = value.substr(kUnix.size());
    runtime.endpoint = "unix:" + path;
    if (somebodyAnswers(path)) return runtime;
    return fail(ErrorCode::not_found,
                strCat({variable, " names ", path, ", where nothing answers: start docker or podman there"}));
  }
  if (value.starts_with(kTcp)) {
    runtime.endpoint = "http://" + value.substr(kTcp.size());
    return runtime;
  }
  return fail(ErrorCode::not_found,
              strCat({variable, " must be unix:///PATH or tcp://HOST:PORT, not ", inQuotes(value)}));
}

Runtime atSocket(const std::string& path, std::string_view what) {
  Runtime runtime;
  runtime.endpoint = "unix:" + path;
  runtime.description = strCat({what, " at ", path});
  return runtime;
}

}  // namespace

Result<Runtime> findRuntime(const Environment& environment) {
  for (const char* variable : {"DOCKER_HOST", "CONTAINER_HOST"}) {
    if (const std::string value = valueIn(environment, variable); !value.empty())
      return named(variable, value);
  }
  const std::string own = valueIn(environment, "XDG_RUNTIME_DIR");
  for (const std::string& path :
       {std::string("/var/run/docker.sock"), own.empty() ? std::string() : own + "/docker.sock"}) {
    if (!path.empty() && somebodyAnswers(path)) return atSocket(path, "docker");
  }
  if (std::string program = programInPath(environment, "podman"); !program.empty()) {
    Runtime runtime;
    runtime.kind = Runtime::Kind::podman;
    runtime.description = program;
    runtime.program = std::move(program);
    return runtime;
  }
  for (const std::string& path :
       {std::string("/run/podman/podman.sock"), own.empty() ? std::string() : own + "/podman/podman.sock"}) {
    if (!path.empty() && somebodyAnswers(path)) return atSocket(path, "podman");
  }
  return fail(ErrorCode::not_found, kNeitherIsThere);
}

// By sockets' activation (sd_listen_fds(3)): LISTEN_PID must be podman's own.
std::vector<std::string> servingCommand(const std::string& podman, Duration unused) {
  return {"/bin/sh", "-c",
          strCat({"LISTEN_FDS=1 LISTEN_PID=$$ exec ", quotedForShell(podman), " system service --time=",
                  std::to_string(std::chrono::ceil<std::chrono::seconds>(unused).count())})};
}

}  // namespace buoy::container
