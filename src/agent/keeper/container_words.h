#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/workspace_plan.h"
#include "base/result.h"

// The command lines by which a workspace's container is made and entered: those of docker, which podman takes
// as well. A terminal is passed on by them as it is.
namespace buoy::agent {

using Words = std::vector<std::string>;
using Environment = std::map<std::string, std::string>;

// docker where its service answers, else podman: the absolute path. failed_precondition says what is missing.
Result<std::string> findContainerRuntime(const Environment& environment);
Words environmentWords(const Environment& environment);

struct BuildFacts {
  std::string runtime;
  unsigned uid = 0, gid = 0;  // of who owns the workspace
  bool nvidia = false;        // the machine has such devices
  std::string inside;         // directory of the machine that scripts and logs are in, at kInsidePath
};
inline constexpr const char* kInsidePath = "/run/spotty";

Words buildWords(const api::WorkspacePlan& plan, const BuildFacts& facts);
Words runWords(const api::WorkspacePlan& plan, const BuildFacts& facts);
struct ExecOptions {
  bool interactive = false, terminal = false;
  std::string user;
};
Words execWords(const api::WorkspacePlan& plan, const std::string& runtime, const ExecOptions& options,
                const Words& command);
Words removeWords(const api::WorkspacePlan& plan, const std::string& runtime);
// The image's name: as given, or of what is built.
std::string imageOf(const api::WorkspacePlan& plan);

}  // namespace buoy::agent
