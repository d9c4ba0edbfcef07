#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

// What a job says of the container that it runs in. Plain values.
namespace buoy::container {

enum class Network : std::uint8_t {
  automatic,  // host for a job of several machines, which must reach one another, else bridge
  bridge,
  host,
  none,
};
std::string_view toString(Network value);

struct Volume {
  std::string host;  // absolute, on the machine; empty: a new directory that lives as long as the attempt
  std::string path;  // absolute, in the container
  bool read_only = false;
  bool operator==(const Volume&) const = default;
};

struct Port {
  std::uint16_t container = 0;
  std::uint16_t host = 0;  // zero: any that is free
  bool udp = false;
  bool operator==(const Port&) const = default;
};

struct Ulimit {
  std::int64_t soft = 0, hard = 0;  // -1: unlimited
  bool operator==(const Ulimit&) const = default;
};

struct Spec {
  // Exactly one of the two: a name that is pulled where the machine does not have it, or a Dockerfile,
  // relative to the project.
  std::string image;
  std::string file;
  std::string context;  // of the build, relative to the project; empty: the Dockerfile's directory
  std::map<std::string, std::string> build_args;
  // Without a shell, as arguments of the image's entrypoint. Empty: the job's `run` by /bin/sh -c without the
  // entrypoint, and without that what the image itself runs.
  std::vector<std::string> command;
  std::string project_dir = "/workspace";  // where the job's workspace is
  std::string working_dir;                 // absolute; empty: project_dir
  std::string user;  // "UID:GID", a name of the image, "host": whom the agent runs as; empty: the image's
  std::vector<Volume> volumes;
  std::vector<Port> ports;
  Network network = Network::automatic;
  // Beside the job's own; ${NAME} stands for another variable of the job.
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> secrets;  // variable → file of the machine that holds its value
  std::string commands;                        // shell text, run as root in the container before the job
  std::vector<std::string> runtime_args;       // options of `docker run` (container/run_args.h)
  static constexpr std::int32_t kAllGpus = -1;
  std::optional<std::int32_t> gpus;  // nullopt: as many as the job's resources ask for
  ByteCount shm_size{};              // of /dev/shm; zero: the runtime's default
  bool privileged = false;
  std::map<std::string, Ulimit> ulimits;  // "nofile" → limits
  bool operator==(const Spec&) const = default;
};

// "HOST:PATH[:ro|:rw]" or "PATH", as docker's -v takes it; nullopt: neither.
std::optional<Volume> parseVolume(std::string_view text);
// "CONTAINER", "HOST:CONTAINER", either with "/udp" or "/tcp", as docker's -p takes it.
std::optional<Port> parsePort(std::string_view text);
// "SOFT" or "SOFT:HARD".
std::optional<Ulimit> parseUlimit(std::string_view text);

// One problem, by the place that it stands at: "volumes[1].path".
struct SpecProblem {
  std::string field, message;
};
std::vector<SpecProblem> check(const Spec& spec);

// `text` with ${NAME} replaced by its value; what is not known, or not closed, stays as it is.
std::string expandVariables(std::string_view text, const std::map<std::string, std::string>& values);

}  // namespace buoy::container
