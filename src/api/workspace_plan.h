#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace buoy::api {

// What a machine that is kept for a person (a workspace) has to bring up and keep: one container with a name,
// in which scripts run in terminals that can be left and come back to. The command line makes it,
// `buoy-agent workspace` carries it out. Paths are the machine's; a relative one lies below the workspace's
// directory, "~/" is the home of who runs it.
struct WorkspacePlan {
  struct Mount {
    std::string host, path;
    bool operator==(const Mount&) const = default;
  };
  struct Port {
    int container = 0;
    int host = 0;  // 0: any that is free
    bool operator==(const Port&) const = default;
  };
  std::string container;   // its name
  std::string image;       // empty: it is built
  std::string dockerfile;  // built in its own directory
  std::string project;     // where the project's files are
  std::string source;      // s3:// prefix with a copy of them, which the machine fetches; empty: they come
  std::string working_dir;
  std::vector<Mount> mounts;
  std::vector<Port> ports;
  std::map<std::string, std::string> env;
  bool run_as_host_user = false;
  bool host_network = false;
  std::vector<std::string> runtime_parameters;  // words of `docker run`, before all others
  std::string commands;                         // shell, as root in the container when it has been started
  std::string host_commands;                    // shell, on the machine before that
  std::string notify;                           // shell, on the machine, when something happened
  Duration idle{};                              // ends by itself after so long without a script; zero: never
  // Its machine is somewhere else than who works on it.
  bool isReachedBySsh() const { return !source.empty(); }
  bool operator==(const WorkspacePlan&) const = default;
};
std::string toJson(const WorkspacePlan& plan);
// What toJson wrote; invalid_argument otherwise.
Result<WorkspacePlan> parseWorkspacePlan(std::string_view json);

// A script that was started in the workspace, as kept in scripts/SESSION.json of its directory, which
// outlives the machine: those without an end are started again on the next one.
struct WorkspaceScript {
  std::string session, name;
  std::string text;  // with its first line "#!…"
  std::string user;  // in the container; empty: as the container says
  std::vector<std::string> arguments;
  bool logged = false;
  std::int32_t starts = 0;  // how often it was started
  bool ended = false;
  std::int32_t exit_code = 0;
  bool operator==(const WorkspaceScript&) const = default;
};
std::string toJson(const WorkspaceScript& script);
Result<WorkspaceScript> parseWorkspaceScript(std::string_view json);

// What the keeper writes to its log so that who reads that knows how far it is: kWorkspaceSign and a word of
// these. Everything else there is for people.
inline constexpr std::string_view kWorkspaceSign = "workspace: ";
inline constexpr std::string_view kWorkspaceReady = "ready";
inline constexpr std::string_view kWorkspaceUser = "reached as ";  // and the name of a user, for SSH
// In the workspace's directory: what is run there over SSH.
inline constexpr std::string_view kWorkspaceProgram = "buoy-agent";

}  // namespace buoy::api
