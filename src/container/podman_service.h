#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/fd.h"
#include "os/process.h"

namespace buoy::container {

// Podman serving the Docker Engine API for this process alone, where no daemon does: a child that ends with
// the object, or with the thread that started it. One thread.
class PodmanService {
 public:
  // At `socket`, whose file is replaced. `environment`: "NAME=value", all of it.
  static Result<PodmanService> start(const std::string& podman, const std::string& socket,
                                     std::vector<std::string> environment);
  PodmanService(PodmanService&&) = default;
  PodmanService& operator=(PodmanService&&) = delete;
  ~PodmanService();  // waits for its end

  std::string endpoint() const { return "unix:" + socket_; }

 private:
  PodmanService(std::string socket, os::Spawned process)
      : socket_(std::move(socket)), process_(std::move(process)) {}

  std::string socket_;
  os::Spawned process_;
};

struct Serving {
  Duration unused{};             // podman ends when nobody has used it for so long; zero: never
  bool adopts_monitors = false;  // the monitors of its containers stay below it, as long as it lives
};

// Starts podman on a socket that listens already.
Result<os::Spawned> spawnPodman(const std::string& podman, const os::Fd& listener,
                                std::vector<std::string> environment, Serving serving);

}  // namespace buoy::container
