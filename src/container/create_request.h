#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "container/run_args.h"
#include "container/spec.h"

namespace buoy::container {

// What a machine adds to what the job says, for one container.
struct CreateRequest {
  std::string image;  // an id, or a name that is there
  Spec spec;
  RunArgs args;                      // parsed from spec.runtime_args
  std::vector<std::string> command;  // the whole of it: process 1 with its arguments
  std::vector<Volume> mounts;        // beside those of the job; hosts are given
  std::map<std::string, std::string> labels;
  std::string user;  // resolved; empty: the image's
  bool host_network = false;
  std::int32_t gpus = 0;              // Spec::kAllGpus: all
  std::vector<std::int32_t> devices;  // these GPUs, instead of so many
  std::int64_t milli_cpus = 0, cpu_shares = 0;
  ByteCount memory{};
  bool podman = false;
  bool keep_id = false;  // of a rootless podman: the agent's user is itself in the container
};

// Of a machine that is shared, a container gets none but its part's own GPUs, however many it asks for.
Status takeDevicesOf(const std::vector<std::int32_t>& part, CreateRequest& request);

// The body of POST /containers/create (https://docs.docker.com/engine/api/v1.41/#tag/Container). What
// runtime_args say wins.
std::string createBody(const CreateRequest& request);

}  // namespace buoy::container
