#include "gateways/spotty/workspace.h"

#include <algorithm>

#include "base/shell.h"
#include "base/strings.h"
#include "gateways/spotty/names.h"

namespace buoy::gateways::spotty {
namespace {

// Records of scripts, in the job's workspace: they are what outlives the machine.
constexpr const char* kRecords = "scripts";
constexpr Duration kGrace = std::chrono::seconds{30};
constexpr const char* kProjectHere = "project";
constexpr std::uint64_t kGib = 1ull << 30;
// What the machine was told at its boot: region, endpoints.
constexpr const char* kOfTheMachine =
    R"sh(told="$(dirname "$BUOY_AGENT")/environment"; [ ! -r "$told" ] || . "$told"; )sh";
// Keeps what else is in docker's configuration.
constexpr const char* kDataRoot = R"sh(if command -v docker >/dev/null; then
  mkdir -p /etc/docker "$data_root"
  python3 -c 'import json, os, sys
path = "/etc/docker/daemon.json"
settings = json.load(open(path)) if os.path.exists(path) else {}
settings["data-root"] = sys.argv[1]
json.dump(settings, open(path, "w"))' "$data_root"
  systemctl restart docker || service docker restart
else
  echo "dockerDataRoot is docker's, and there is none on this machine" >&2
fi
)sh";

std::string directoryOf(const Parameters& parameters, ProviderKind provider, const VolumeMount& mount,
                        const std::string& project_root) {
  for (const Volume& volume : parameters.volumes) {
    if (volume.name != mount.name) continue;
    if (provider == ProviderKind::aws || provider == ProviderKind::gcp) return volume.mount_dir;
    const bool relative =
        provider == ProviderKind::local && !volume.path.starts_with('/') && !volume.path.starts_with('~');
    return relative ? strCat({project_root, "/", volume.path}) : volume.path;
  }
  return "volumes/" + mount.name;
}

// Where the project's files are on the machine: on the volume that they are on in the container.
std::string projectOnMachine(const Container& container,
                             const std::vector<api::WorkspacePlan::Mount>& mounts) {
  for (const auto& mount : mounts) {
    if (container.project_dir == mount.path) return mount.host;
    if (container.project_dir.starts_with(mount.path + "/"))
      return mount.host + container.project_dir.substr(mount.path.size());
  }
  return {};
}

// What Spotty does on the machine before the instance's own commands.
std::string hostCommands(const Parameters& parameters, ProviderKind provider) {
  std::string all;
  if (provider == ProviderKind::aws) {
    for (const Volume& volume : parameters.volumes)
      all += strCat({"chmod 777 ", quotedForShell(volume.mount_dir), "\n"});
    if (!parameters.docker_data_root.empty())
      all += strCat({"data_root=", quotedForShell(parameters.docker_data_root), "\n", kDataRoot});
  }
  return all + parameters.commands;
}

cloud::VolumeSpec volumeOf(const Volume& volume) {
  return {.name = volume.disk,
          .size = ByteCount{volume.size_gib * kGib},
          .type = volume.type,
          .mount = volume.mount_dir,
          .snapshot = {},
          .deletion = volume.deletion};
}

}  // namespace

api::WorkspacePlan planOf(const Project& project, const Instance& instance, const Parameters& parameters,
                          const WorkspaceOptions& options) {
  const Container& container = *project.container(parameters.container_name);
  api::WorkspacePlan plan;
  plan.container = containerName(project.name, instance.name, container.name);
  plan.image = container.image;
  plan.working_dir = container.working_dir;
  for (const VolumeMount& mount : container.mounts)
    plan.mounts.push_back(
        {directoryOf(parameters, instance.provider, mount, options.project_root), mount.path});
  plan.project = projectOnMachine(container, plan.mounts);
  if (plan.project.empty()) {
    plan.project = kProjectHere;
    plan.mounts.push_back({kProjectHere, container.project_dir});
  }
  if (!container.file.empty()) plan.dockerfile = strCat({plan.project, "/", container.file});
  for (const Port& port : container.ports) plan.ports.push_back({port.container, port.host});
  plan.env = container.env;
  plan.run_as_host_user = container.run_as_host_user;
  plan.host_network = container.host_network;
  plan.runtime_parameters = container.runtime_parameters;
  plan.commands = container.commands;
  plan.host_commands = hostCommands(parameters, instance.provider);
  plan.source = options.source;
  plan.notify = options.notify;
  plan.idle = options.idle;
  return plan;
}

api::JobSpec jobOf(const Project& project, const Instance& instance, const Parameters& parameters,
                   const WorkspaceOptions& options) {
  api::JobSpec job;
  job.name = workspaceName(project.name, instance.name);
  job.run = strCat({instance.provider == ProviderKind::aws ? kOfTheMachine : "",
                    "exec \"$BUOY_AGENT\" workspace keep --directory ", quotedForShell(options.directory),
                    " --kept \"$BUOY_CHECKPOINT_DIR\""});
  job.queue = job.name;
  job.pools = {job.name};
  job.spot = parameters.spot ? engine::SpotPreference::only : engine::SpotPreference::never;
  job.checkpoint = api::CheckpointSpec{.dir = kRecords};
  job.env = options.env;
  job.env["WORKSPACE_PLAN"] = api::toJson(planOf(project, instance, parameters, options));
  job.stop_grace = kGrace;
  job.max_run = options.hours;
  if (instance.provider == ProviderKind::aws) {
    for (const Volume& volume : parameters.volumes) job.storage.volumes.push_back(volumeOf(volume));
  }
  return job;
}

engine::Pool poolOf(const Project& project, const Instance& instance, const Parameters& parameters,
                    const engine::Pool& model) {
  engine::Pool pool;
  pool.name = workspaceName(project.name, instance.name);
  pool.provider = model.provider;
  pool.types = model.types;
  pool.max_machines = 2;  // one that is to go, and the one that takes its place
  pool.spot = parameters.spot;
  pool.on_demand = !parameters.spot;
  pool.provider_config = model.provider_config;
  return pool;
}

}  // namespace buoy::gateways::spotty
