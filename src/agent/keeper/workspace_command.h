#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace buoy::agent {

// `buoy-agent workspace VERB --directory DIR …`, by which a command line works in the workspace that stands
// on this machine, here or over SSH:
//   keep               be the workspace until it is told to end (keeper.h); the plan from WORKSPACE_PLAN
//   plan               keep the plan on standard input
//   up, down           the container alone
//   script             record and start the script on standard input (JSON, api/workspace_plan.h), unless its
//                      session runs already
//   attach --session S be the terminal S; then its program's exit code, or 0 if it runs on
//   shell [--host] [--user U] --session S   the same with a shell, started if need be
//   exec [-i] [-t] [--user U] -- COMMAND…   a command in the container, its exit code
//   list               sessions and scripts as JSON
//   files              "SIZE MICROSECONDS PATH\0" of every file of the project, in byte order
//   ports              "CONTAINER MACHINE" of every port of the plan, a line each; 0: it is not published
//   pull [--keep-newer]  the project from its copy in a bucket (project_source.h)
//   receive            files of the project from a tar archive on standard input
//   send               those named on standard input (each with \0) as a tar archive
//   inside --session S what a script's terminal runs
// Returns the exit code. Before any thread is started.
int runWorkspaceCommand(const std::vector<std::string>& words);

}  // namespace buoy::agent
