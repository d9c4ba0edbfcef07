#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/worker.h"
#include "api/agent_protocol.h"
#include "os/event_loop.h"
#include "os/process.h"

namespace buoy::agent {

// The parts of this machine (engine/parts.cc, api/agent_protocol.h): each is a machine to its job, with a
// directory below this one's and an agent of its own, which is a child of this process. Started and ended as
// the directive says, killed with this process. While there is any, this process has no other children. Loop
// thread only; SIGCHLD is blocked (blockSignals).
class Parts {
 public:
  using Closed = std::vector<api::ReportMessage::Closed>;
  struct Options {
    // Between the request to end and SIGKILL, for the last of the log and of the checkpoint.
    Duration patience = std::chrono::seconds{20};
    std::string program = {};  // of an agent; empty: this one
  };
  // `told`: the control plane is to hear that these have no agent and will get none.
  Parts(os::EventLoop& loop, Worker& worker, const api::AgentConfig& config, Options options,
        std::function<void(Closed)> told);
  ~Parts();  // kills what still runs
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  void follow(const api::DirectiveMessage& message);
  // All of them are to end, as by SIGTERM, and none is opened any more.
  void endAll();
  void killAll();
  bool empty() const { return open_.empty(); }
  // An agent that has ended; set once.
  std::function<void()> on_closed;

 private:
  struct Open {
    os::Spawned process;
    os::EventLoop::TimerId killing = 0;
    bool ends = false;
  };

  void open(const engine::Directive::Part& part, const std::string& token);
  Status start(const engine::Directive::Part& part, const std::string& token);
  void end(MachineId part);
  void kill(MachineId part);
  void reap(MachineId part);
  void killOrphans();
  void close(MachineId part, std::string detail);
  void tell() { told_({closed_.begin(), closed_.end()}); }
  std::string directoryOf(MachineId part) const;

  os::EventLoop& loop_;
  Worker& worker_;
  const api::AgentConfig& config_;
  const Options options_;
  const std::function<void(Closed)> told_;
  std::map<MachineId, Open> open_;
  Closed closed_;  // that the directive still names
  bool ending_ = false;
};

}  // namespace buoy::agent
