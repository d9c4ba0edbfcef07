#include "agent/environment.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/strings.h"

namespace buoy::agent {
namespace {

constexpr std::uint64_t kMasterPort = 29400;
// Machines of the local provider share one network: jobs get different ports, all below the ephemeral range.
constexpr std::uint64_t kMasterPorts = 3000;

// What a process needs to find programs and speak the user's language; BUOY_MACHINE marks what runs on a
// machine.
constexpr std::array kInherited = {"PATH",     "HOME",         "LANG",        "LC_ALL",
                                   "TERM",     "TZ",           "USER",        "LOGNAME",
                                   "TMPDIR",   "BUOY_MACHINE", "http_proxy",  "https_proxy",
                                   "no_proxy", "HTTP_PROXY",   "HTTPS_PROXY", "NO_PROXY"};

// Of a part: those of the host's GPUs that are its own. Where the host itself sees only some, by their names.
std::string visibleDevices(const EnvironmentInputs& inputs) {
  const auto given = inputs.inherited.find("CUDA_VISIBLE_DEVICES");
  const auto all =
      given == inputs.inherited.end() ? std::vector<std::string_view>() : split(given->second, ',');
  std::string visible;
  for (const std::int32_t device : inputs.config.devices) {
    const auto place = static_cast<std::size_t>(device);
    visible += visible.empty() ? "" : ",";
    visible += place < all.size() ? std::string(all[place]) : std::to_string(device);
  }
  return visible;
}

// Whole seconds, at least one: what a shell can count with.
std::string inSeconds(Duration duration) {
  return std::to_string(
      std::max<std::int64_t>(std::chrono::round<std::chrono::seconds>(duration).count(), 1));
}

std::string variable(std::string prefix, std::string_view name) {
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    prefix += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return prefix;
}

}  // namespace

std::string MachinePaths::log(JobId job, std::uint32_t attempt, std::int32_t rank) const {
  return strCat(
      {logs(), "/", job.toString(), ".", std::to_string(attempt), ".", std::to_string(rank), ".log"});
}

std::string MachinePaths::metrics(JobId job, std::uint32_t attempt, std::int32_t rank) const {
  std::string path = log(job, attempt, rank);
  path.replace(path.size() - 4, 4, ".metrics");
  return path;
}

std::string inputVariable(std::string_view name) {
  return variable("BUOY_INPUT_", name);
}

Variables jobVariables(const EnvironmentInputs& inputs, const std::string& work) {
  const engine::Directive& directive = inputs.directive;
  const MachinePaths paths{inputs.config.directory};
  const std::string rank = std::to_string(directive.rank);
  const std::string world_size = std::to_string(inputs.spec.machines);
  const std::string peers = directive.peers.empty() ? inputs.config.address : join(directive.peers, ",");

  Variables all;
  // A reclaim without notice takes what a process still holds in its own buffers: lines are to leave it at
  // once.
  all["PYTHONUNBUFFERED"] = "1";
  all["MASTER_ADDR"] = directive.peers.empty() ? "127.0.0.1" : directive.peers.front();
  all["MASTER_PORT"] = std::to_string(kMasterPort + directive.job.value % kMasterPorts);
  if (inputs.spec.machines > 1) {
    all["RANK"] = rank;
    all["WORLD_SIZE"] = world_size;
  }
  for (const auto& [name, value] : inputs.spec.env) all[name] = value;

  if (!inputs.agent_path.empty()) all["BUOY_AGENT"] = inputs.agent_path;
  all["BUOY_JOB_ID"] = directive.job.toString();
  all["BUOY_JOB_NAME"] = inputs.spec.name;
  all["BUOY_ATTEMPT"] = std::to_string(directive.attempt);
  if (directive.array) {
    all["BUOY_ARRAY_JOB"] = directive.array.toString();
    all["BUOY_ARRAY_INDEX"] = std::to_string(directive.index);
    all["BUOY_ARRAY_SIZE"] = std::to_string(inputs.spec.array);
  }
  all["BUOY_EPOCH"] = std::to_string(directive.epoch);
  all["BUOY_RANK"] = rank;
  all["BUOY_WORLD_SIZE"] = world_size;
  all["BUOY_PEERS"] = peers;
  all["BUOY_NOTICE_FILE"] = paths.notice();
  all["BUOY_NOTICE_SECONDS"] =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(inputs.config.notice).count());
  all["BUOY_RESTORED_VERSION"] = inputs.restored_version;
  if (!inputs.checkpoint_directory.empty()) {
    all["BUOY_CHECKPOINT_DIR"] = work + inputs.checkpoint_directory.substr(paths.work().size());
    all["BUOY_CHECKPOINT_CONTROL"] = paths.saveControl();
    all["BUOY_CHECKPOINT_INTERVAL"] = inSeconds(inputs.checkpoint_interval);
  }
  for (const cloud::VolumeSpec& volume : inputs.spec.storage.volumes)
    all[variable("BUOY_VOLUME_", volume.name)] = volume.mount.empty() ? "/mnt/" + volume.name : volume.mount;
  for (const cloud::FileSystemSpec& shared : inputs.spec.storage.file_systems)
    all[variable("BUOY_SHARED_", shared.name)] = shared.mount.empty() ? "/mnt/" + shared.name : shared.mount;
  for (const auto& [name, input] : inputs.spec.inputs) all[inputVariable(name)] = paths.inputs() + "/" + name;
  return all;
}

Variables jobEnvironment(const EnvironmentInputs& inputs) {
  Variables all = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  for (const char* name : kInherited) {
    if (const auto found = inputs.inherited.find(name); found != inputs.inherited.end())
      all[name] = found->second;
  }
  // In a container, which is given its GPUs alone, they have other numbers.
  if (inputs.config.part) all["CUDA_VISIBLE_DEVICES"] = visibleDevices(inputs);
  Variables own = jobVariables(inputs, MachinePaths{inputs.config.directory}.work());
  own.merge(all);
  return own;
}

std::vector<std::string> entriesOf(const Variables& all) {
  std::vector<std::string> environment;
  environment.reserve(all.size());
  for (const auto& [name, value] : all) environment.push_back(strCat({name, "=", value}));
  return environment;
}

}  // namespace buoy::agent
