#include "container/podman_service.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "container/runtime.h"
#include "net/sockets.h"

namespace buoy::container {
namespace {

constexpr Duration kEndPatience = std::chrono::seconds{30};
constexpr int kFirstPassedDescriptor = 3;  // SD_LISTEN_FDS_START

}  // namespace

Result<os::Spawned> spawnPodman(const std::string& podman, const os::Fd& listener,
                                std::vector<std::string> environment, Serving serving) {
  os::SpawnOptions options;
  options.command = servingCommand(podman, serving.unused);
  options.environment = std::move(environment);
  options.directory = "/";
  options.fds = {{listener.get(), kFirstPassedDescriptor}};
  options.new_session = true;
  options.adopts_orphans = serving.adopts_monitors;
  options.parent_death_signal = SIGTERM;  // it ends what it has begun: half a removal would stay
  return os::spawn(options);
}

Result<PodmanService> PodmanService::start(const std::string& podman, const std::string& socket,
                                           std::vector<std::string> environment) {
  ::unlink(socket.c_str());
  BUOY_TRY(const net::UnixListener listener, net::listenOnUnixSocket(socket));
  BUOY_TRY(os::Spawned process, spawnPodman(podman, listener.fd, std::move(environment), {}));
  return PodmanService(socket, std::move(process));
}

PodmanService::~PodmanService() {
  if (!process_.handle) return;
  (void)process_.handle.signal(SIGTERM);
  if (!process_.handle.waitEnded(kEndPatience)) (void)process_.handle.signal(SIGKILL);
  (void)process_.handle.waitEnded(kEndPatience);
  (void)process_.handle.reap();
  ::unlink(socket_.c_str());
}

}  // namespace buoy::container
