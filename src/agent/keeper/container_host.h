#pragma once

#include <functional>
#include <string>

#include "agent/keeper/container_words.h"
#include "agent/keeper/desk.h"
#include "base/result.h"
#include "os/terminal.h"

namespace buoy::agent {

// The container of a workspace, on this machine. What building and starting print goes where this program's
// output goes. One thread.
class ContainerHost {
 public:
  // failed_precondition: there is nothing here that runs containers.
  static Result<ContainerHost> open(const Desk& desk, const Environment& environment);

  // The instance's own commands, once a machine: they may move where containers lie. Cancelled when a signal
  // comes to `interrupts`.
  Status prepareMachine(os::InterruptWatch* interrupts,
                        const std::function<void(const std::string&)>& step) const;
  // Builds or finds the image, removes a container of the name and starts it anew, with its commands. `step`
  // is told what is done next. Cancelled when a signal comes to `interrupts`.
  Status start(os::InterruptWatch* interrupts, const std::function<void(const std::string&)>& step) const;
  Status remove() const;
  // The same of one that runs, at once: its first process, a shell, heeds no SIGTERM, and podman would wait.
  Status end() const;
  bool running() const;
  // A signal to the process group of a script. False if it does not run, or has only just been started.
  bool signalScript(const std::string& session, const char* signal) const;

  Words enter(const ExecOptions& options, const Words& command) const {
    return execWords(plan_, facts_.runtime, options, command);
  }
  // Of a script: it leaves its process's number where signalScript finds it.
  Words enterScript(const api::WorkspaceScript& script) const;
  const api::WorkspacePlan& plan() const { return plan_; }
  // Where the machine has a port of the container; 0: nowhere.
  int portHere(const api::WorkspacePlan::Port& port) const;

 private:
  ContainerHost(api::WorkspacePlan plan, BuildFacts facts, Environment environment)
      : plan_(std::move(plan)), facts_(std::move(facts)), environment_(std::move(environment)) {}
  Result<std::string> ask(Words words) const;

  api::WorkspacePlan plan_;
  BuildFacts facts_;
  Environment environment_;
};

}  // namespace buoy::agent
