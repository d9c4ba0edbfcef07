#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/job_output.h"
#include "agent/job_process.h"
#include "os/child.h"
#include "os/event_loop.h"

namespace buoy::agent {

// Runs one command at a time as the leader of its own session, takes its output, and makes sure that nothing
// of it is left at the end, whatever it forked or daemonised: orphans come to this process (as process 1 of
// the machine, or as a subreaper) and are reaped here. The process must have no other children. Loop thread
// only; SIGCHLD must be blocked in every thread (blockSignals below, called before any thread starts).
class Supervisor final : public JobProcess {
 public:
  Supervisor(os::EventLoop& loop, Callbacks callbacks);
  ~Supervisor() override;  // kills what still runs, without waiting for it
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Runs `command` by /bin/sh -c.
  Status start(const std::string& command, const std::string& directory,
               std::vector<std::string> environment);
  void signal(int number) override;
  bool catches(int number) const override { return !catchers(number).empty(); }
  void signalCatchers(int number) override;
  void killAll() override;
  void pauseOutput(bool paused) override { output_.pause(paused); }
  bool running() const { return running_; }

 private:
  void reap();
  void finish();
  std::vector<pid_t> catchers(int number) const;

  os::EventLoop& loop_;
  Callbacks callbacks_;
  os::Fd signals_;
  std::optional<os::Child> child_;
  JobOutput output_;
  bool running_ = false;  // some process of the job may be alive
  bool exited_ = false;   // the command itself has ended
  bool killing_ = false;
  int last_exit_code_ = 0;
};

// Blocks the signals that the agent takes through descriptors. Before any thread is started.
void blockSignals();

}  // namespace buoy::agent
