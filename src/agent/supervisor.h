#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/child.h"
#include "os/event_loop.h"

namespace buoy::agent {

// Runs one command at a time as the leader of its own session, takes its output, and makes sure that nothing
// of it is left at the end, whatever it forked or daemonised: orphans come to this process (as process 1 of
// the machine, or as a subreaper) and are reaped here. The process must have no other children. Loop thread
// only; SIGCHLD must be blocked in every thread (blockSignals below, called before any thread starts).
class Supervisor {
 public:
  struct Callbacks {
    std::function<void(char stream, std::string_view bytes)> on_output;  // 'o' or 'e'
    std::function<void(int exit_code)> on_exit;  // the command itself has ended; 128 + N by signal N
    // Every process is gone and all output was given to on_output. `last_exit_code` is that of the process
    // that ended last, as far as it was seen here (what its own parent reaped was not).
    std::function<void(int last_exit_code)> on_gone;
  };

  Supervisor(os::EventLoop& loop, Callbacks callbacks);
  ~Supervisor();  // kills what still runs, without waiting for it
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Runs `command` by /bin/sh -c.
  Status start(const std::string& command, const std::string& directory,
               std::vector<std::string> environment);
  // To the command's process group.
  void signal(int number);
  // Whether some process of the job has a handler for this signal: without one it cannot save at it.
  bool catches(int number) const { return !catchers(number).empty(); }
  // To those processes of the job only: it would end the others, such as the shell above a program.
  void signalCatchers(int number);
  // SIGKILL to every process of the job, until none is left; on_gone follows.
  void killAll();
  // While paused nothing is read: the job waits when its pipe is full. Ends by itself when the job is gone.
  void pauseOutput(bool paused);
  bool running() const { return running_; }

 private:
  void readOutput(char stream);
  enum class Got { data, nothing_yet, end };
  Got readOnce(char stream, int fd);
  void watchOutput();
  void reap();
  void finish();
  std::vector<pid_t> catchers(int number) const;

  os::EventLoop& loop_;
  Callbacks callbacks_;
  os::Fd signals_;
  std::optional<os::Child> child_;
  bool running_ = false;  // some process of the job may be alive
  bool exited_ = false;   // the command itself has ended
  bool killing_ = false;
  bool paused_ = false;
  int last_exit_code_ = 0;
};

// Blocks the signals that the agent takes through descriptors. Before any thread is started.
void blockSignals();

}  // namespace buoy::agent
