#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/workspace_plan.h"
#include "base/result.h"
#include "base/strings.h"

namespace buoy::agent {

// The directory of one workspace on its machine: the one place that knows what lies where in it. Several
// programs use it at once (the keeper, terminals, a command of the user's): every file is replaced whole.
class Desk {
 public:
  explicit Desk(std::string directory) : root_(std::move(directory)) {}

  const std::string& root() const { return root_; }
  std::string planFile() const { return root_ + "/plan.json"; }
  std::string tmuxConfig() const { return root_ + "/tmux.conf"; }
  // Below the container's kInsidePath.
  std::string inside() const { return root_ + "/inside"; }
  std::string scriptFile(const std::string& session) const { return inside() + "/scripts/" + session; }
  std::string pidFile(const std::string& session) const { return scriptFile(session) + ".pid"; }
  std::string logFile(const std::string& session) const { return inside() + "/logs/" + session + ".log"; }
  // Records of scripts; a link to where they outlive the machine.
  std::string scripts() const { return root_ + "/scripts"; }
  std::string script(const std::string& session) const { return scripts() + "/" + session + ".json"; }
  // There while the workspace is being ended: what ends now has not ended by itself.
  std::string ending() const { return root_ + "/ending"; }
  // tmux's socket, whose path must be short, and where it is written down for others.
  std::string socket() const;
  std::string socketNote() const { return root_ + "/socket"; }

  // What is run here over SSH (way_in.h); the command line knows its name, too.
  std::string wayIn() const { return strCat({root_, "/", api::kWorkspaceProgram}); }

  // Makes its directories; `kept`: where records are to lie instead; empty: here.
  Status open(const std::string& kept) const;
  Status writePlan(const api::WorkspacePlan& plan) const;
  // With every path absolute and "~" resolved.
  Result<api::WorkspacePlan> plan() const;

  std::vector<api::WorkspaceScript> records() const;  // those that can be read
  std::optional<api::WorkspaceScript> record(const std::string& session) const;
  Status writeRecord(const api::WorkspaceScript& script) const;

 private:
  std::string absolute(const std::string& path) const;

  std::string root_;
};

}  // namespace buoy::agent
