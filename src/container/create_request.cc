#include "container/create_request.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace buoy::container {
namespace {

using Json = nlohmann::json;

template <class T>
void putUnlessEmpty(Json& json, const char* key, const T& value) {
  if (!value.empty()) json[key] = value;
}

std::string portKey(const Port& port) {
  return strCat({std::to_string(port.container), port.udp ? "/udp" : "/tcp"});
}

void putMounts(Json& host, const CreateRequest& request) {
  Json mounts = Json::array();
  const auto add = [&](const std::vector<Volume>& volumes) {
    for (const Volume& volume : volumes) {
      if (volume.host.empty()) continue;
      mounts.push_back({{"Type", "bind"},
                        {"Source", volume.host},
                        {"Target", volume.path},
                        {"ReadOnly", volume.read_only}});
    }
  };
  add(request.mounts);
  add(request.args.volumes);
  host["Mounts"] = std::move(mounts);
}

void putPorts(Json& body, Json& host, const CreateRequest& request) {
  const auto add = [&](const std::vector<Port>& ports) {
    for (const Port& port : ports) {
      body["ExposedPorts"][portKey(port)] = Json::object();
      host["PortBindings"][portKey(port)] =
          Json::array({{{"HostIp", ""}, {"HostPort", port.host == 0 ? "" : std::to_string(port.host)}}});
    }
  };
  if (request.host_network) return;
  add(request.spec.ports);
  add(request.args.ports);
}

void putLimits(Json& host, const CreateRequest& request) {
  const RunArgs& args = request.args;
  const ByteCount memory = args.memory.value > 0 ? args.memory : request.memory;
  if (memory.value > 0) {
    host["Memory"] = memory.value;
    // Not more by way of swap.
    host["MemorySwap"] = args.memory_swap != 0 ? Json(args.memory_swap) : Json(memory.value);
  }
  if (args.memory_reservation.value > 0) host["MemoryReservation"] = args.memory_reservation.value;
  if (args.memory_swappiness) host["MemorySwappiness"] = *args.memory_swappiness;
  if (args.oom_kill_disable) host["OomKillDisable"] = true;
  if (args.oom_score_adj) host["OomScoreAdj"] = *args.oom_score_adj;
  if (args.pids_limit) host["PidsLimit"] = *args.pids_limit;
  const std::int64_t cpus = args.milli_cpus > 0 ? args.milli_cpus : request.milli_cpus;
  if (cpus > 0) host["NanoCpus"] = cpus * 1'000'000;
  const std::int64_t shares = args.cpu_shares > 0 ? args.cpu_shares : request.cpu_shares;
  if (shares > 0) host["CpuShares"] = shares;
  putUnlessEmpty(host, "CpusetCpus", args.cpuset_cpus);
  const ByteCount shm = args.shm_size.value > 0 ? args.shm_size : request.spec.shm_size;
  if (shm.value > 0) host["ShmSize"] = shm.value;
  auto limits = request.spec.ulimits;
  for (const auto& [name, limit] : args.ulimits) limits[name] = limit;
  for (const auto& [name, limit] : limits)
    host["Ulimits"].push_back({{"Name", name}, {"Soft", limit.soft}, {"Hard", limit.hard}});
}

// "/dev/a", "/dev/a:/dev/b", "/dev/a:/dev/b:rw", "vendor.com/class=name" (CDI).
void putDevices(Json& host, const CreateRequest& request) {
  for (const std::string& text : request.args.devices) {
    const auto parts = split(text, ':');
    const std::string outside(parts[0]);
    const std::string inside =
        parts.size() > 1 && parts[1].starts_with('/') ? std::string(parts[1]) : outside;
    const bool has_rights = parts.size() > 1 && !parts.back().starts_with('/');
    host["Devices"].push_back({{"PathOnHost", outside},
                               {"PathInContainer", inside},
                               {"CgroupPermissions", has_rights ? std::string(parts.back()) : "rwm"}});
  }
  const bool named = !request.devices.empty();
  const std::int32_t gpus =
      named ? static_cast<std::int32_t>(request.devices.size()) : request.args.gpus.value_or(request.gpus);
  if (gpus == 0) return;
  if (!request.podman) {
    Json wanted = {{"Driver", ""}, {"Capabilities", Json::array({Json::array({"gpu"})})}};
    if (named) {
      for (const std::int32_t device : request.devices) wanted["DeviceIDs"].push_back(std::to_string(device));
    } else {
      wanted["Count"] = gpus;
    }
    host["DeviceRequests"] = Json::array({std::move(wanted)});
    return;
  }
  // Podman knows GPUs by the names that NVIDIA's toolkit gives them (CDI).
  const auto device = [&](const std::string& name) {
    host["Devices"].push_back(
        {{"PathOnHost", name}, {"PathInContainer", name}, {"CgroupPermissions", "rwm"}});
  };
  if (gpus == Spec::kAllGpus) return device("nvidia.com/gpu=all");
  for (std::int32_t i = 0; i < gpus; ++i) {
    const std::int32_t number = named ? request.devices[static_cast<std::size_t>(i)] : i;
    device("nvidia.com/gpu=" + std::to_string(number));
  }
}

std::string networkOf(const CreateRequest& request) {
  if (!request.args.network.empty()) return request.args.network;
  if (request.host_network) return "host";
  return request.spec.network == Network::none ? "none" : "bridge";
}

void putHost(Json& host, const CreateRequest& request) {
  const RunArgs& args = request.args;
  host["NetworkMode"] = networkOf(request);
  host["Privileged"] = args.privileged.value_or(request.spec.privileged);
  host["LogConfig"] = {{"Type", request.podman ? "k8s-file" : "json-file"}};
  if (args.read_only) host["ReadonlyRootfs"] = true;
  putUnlessEmpty(host, "CapAdd", args.cap_add);
  putUnlessEmpty(host, "CapDrop", args.cap_drop);
  // What is mounted is the job's own: SELinux must not keep it from it.
  std::vector<std::string> security = {"label=disable"};
  security.insert(security.end(), args.security_opt.begin(), args.security_opt.end());
  host["SecurityOpt"] = security;
  putUnlessEmpty(host, "GroupAdd", args.group_add);
  putUnlessEmpty(host, "Dns", args.dns);
  putUnlessEmpty(host, "DnsSearch", args.dns_search);
  putUnlessEmpty(host, "DnsOptions", args.dns_option);
  putUnlessEmpty(host, "ExtraHosts", args.extra_hosts);
  putUnlessEmpty(host, "Sysctls", args.sysctls);
  putUnlessEmpty(host, "Tmpfs", args.tmpfs);
  putUnlessEmpty(host, "StorageOpt", args.storage_opt);
  putUnlessEmpty(host, "IpcMode", args.ipc);
  putUnlessEmpty(host, "PidMode", args.pid);
  putUnlessEmpty(host, "UTSMode", args.uts);
  putUnlessEmpty(host, "Runtime", args.runtime);
  putUnlessEmpty(host, "CgroupParent", args.cgroup_parent);
  putUnlessEmpty(host, "UsernsMode", !args.userns.empty() || !request.keep_id ? args.userns : "keep-id");
}

}  // namespace

Status takeDevicesOf(const std::vector<std::int32_t>& part, CreateRequest& request) {
  const std::int32_t gpus = request.args.gpus.value_or(request.gpus);
  request.devices.clear();
  if (gpus == 0) return {};
  const auto wanted = gpus == Spec::kAllGpus ? part.size() : static_cast<std::size_t>(gpus);
  if (part.empty() || wanted > part.size()) {
    return fail(ErrorCode::invalid_argument,
                strCat({"the container asks for more GPUs than the job: its machine is shared, and ",
                        std::to_string(part.size()), " of its GPUs are the job's; raise resources.gpus"}));
  }
  request.devices.assign(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(wanted));
  return {};
}

std::string createBody(const CreateRequest& request) {
  const RunArgs& args = request.args;
  Json body = Json::object(), host = Json::object();
  body["Image"] = request.image;
  body["Entrypoint"] = std::vector<std::string>(request.command.begin(), request.command.begin() + 1);
  body["Cmd"] = std::vector<std::string>(request.command.begin() + 1, request.command.end());
  const std::string& wanted = args.working_dir.empty() ? request.spec.working_dir : args.working_dir;
  if (wanted != kImagesWorkingDir) body["WorkingDir"] = wanted.empty() ? request.spec.project_dir : wanted;
  putUnlessEmpty(body, "User", !args.user.empty() ? args.user : request.user);
  putUnlessEmpty(body, "Hostname", args.hostname);
  putUnlessEmpty(body, "Domainname", args.domainname);
  std::map<std::string, std::string> labels = args.labels;
  for (const auto& [name, value] : request.labels) labels[name] = value;
  body["Labels"] = labels;
  putMounts(host, request);
  putPorts(body, host, request);
  putLimits(host, request);
  putDevices(host, request);
  putHost(host, request);
  body["HostConfig"] = std::move(host);
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace buoy::container
