#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace buoy::container {

using Environment = std::map<std::string, std::string>;

// How containers are run on this machine.
struct Runtime {
  enum class Kind {
    socket,  // somebody serves the Docker Engine API at `endpoint`
    podman,  // nobody does, but `program` can
  };
  Kind kind = Kind::socket;
  std::string endpoint;     // net::parseEndpoint: "unix:/run/docker.sock"
  std::string program;      // path of podman
  std::string description;  // for people: "docker at /run/docker.sock"
};

// Asks in this order: DOCKER_HOST and CONTAINER_HOST (unix:// and tcp://), Docker's socket, podman in PATH,
// podman's socket. not_found with one sentence for people where there is none. Connects to sockets, sends
// nothing. Threads: any.
Result<Runtime> findRuntime(const Environment& environment);

// What makes `podman` serve the API on the listening socket that it inherits as descriptor 3, until nobody
// has used it for so long; zero: for ever.
std::vector<std::string> servingCommand(const std::string& podman, Duration unused);

}  // namespace buoy::container
