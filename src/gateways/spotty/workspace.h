#pragma once

#include <optional>
#include <string>

#include "api/job_spec.h"
#include "api/workspace_plan.h"
#include "engine/types.h"
#include "gateways/spotty/project.h"

// What an instance of a spotty.yaml is to Buoy: a job that keeps a machine of a pool of its own, and on it a
// workspace with the container. Pure.
namespace buoy::gateways::spotty {

struct WorkspaceOptions {
  std::string project_root;  // of the spotty.yaml, absolute: what relative paths of a local one mean
  std::string directory;     // of the workspace on its machine
  std::string source;        // s3:// prefix that the project is fetched from; empty: it is sent there
  std::string notify;        // shell, run when something happened; empty: none
  Duration idle{};           // zero: it stays
  Duration hours{};          // after which it ends; zero: never
  std::map<std::string, std::string> env;  // of the machine's programs: how they reach the container runtime
};

api::WorkspacePlan planOf(const Project& project, const Instance& instance, const Parameters& parameters,
                          const WorkspaceOptions& options);
api::JobSpec jobOf(const Project& project, const Instance& instance, const Parameters& parameters,
                   const WorkspaceOptions& options);
// A pool for this machine alone, like `model`, which has the provider.
engine::Pool poolOf(const Project& project, const Instance& instance, const Parameters& parameters,
                    const engine::Pool& model);

// The same as a buoy.yaml, with a comment wherever something is not as it was: for whoever leaves
// spotty.yaml. `project_root` as in WorkspaceOptions.
std::string convert(const Project& project, const Instance& instance, const Parameters& parameters,
                    const std::string& project_root);

}  // namespace buoy::gateways::spotty
