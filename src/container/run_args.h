#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "container/spec.h"

namespace buoy::container {

// Spec::working_dir that means the image's own.
constexpr std::string_view kImagesWorkingDir = "image";

// What `runtime_args` may say beyond the other keys of a job's container, in Docker's words. Of what stands
// in both, runtime_args win, as the last option on docker's command line does.
struct RunArgs {
  std::string name;  // of the container; empty: one of Buoy's
  std::string hostname, domainname;
  std::string ipc, pid, uts, userns, cgroup_parent, runtime, platform;
  std::string network;  // any mode or network's name
  std::optional<std::vector<std::string>> entrypoint;
  std::string user, working_dir;
  std::vector<std::string> cap_add, cap_drop, devices, security_opt, group_add;
  std::vector<std::string> dns, dns_search, dns_option, extra_hosts;
  std::map<std::string, std::string> env, labels, sysctls, tmpfs, storage_opt;
  std::vector<Volume> volumes;
  std::vector<Port> ports;
  std::map<std::string, Ulimit> ulimits;
  std::optional<std::int32_t> gpus;
  std::optional<bool> privileged;
  bool read_only = false;
  bool oom_kill_disable = false;
  ByteCount shm_size{}, memory{}, memory_reservation{};
  std::int64_t memory_swap = 0;  // bytes, -1: unlimited; zero: not said
  std::optional<std::int64_t> memory_swappiness, pids_limit, oom_score_adj;
  std::int64_t milli_cpus = 0;
  std::int64_t cpu_shares = 0;
  std::string cpuset_cpus;
};

// The options of `docker run` as a person writes them: "--cap-add=SYS_PTRACE", "--ipc", "host", "-v",
// "/a:/b". Options that only concern docker's own client (-d, -t, -i, --rm, --init, --pull …) are taken and
// mean nothing here. invalid_argument with the option's name: it is not known, lacks its value, or the value
// is wrong.
Result<RunArgs> parseRunArgs(const std::vector<std::string>& words);

}  // namespace buoy::container
