#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace buoy::agent {

// What runs of a job on this machine, as a process or in a container. Loop thread only.
class JobProcess {
 public:
  struct Callbacks {
    std::function<void(char stream, std::string_view bytes)> on_output;  // 'o' or 'e'
    std::function<void(int exit_code)> on_exit;  // the command itself has ended; 128 + N by signal N
    // Every process is gone and all output was given to on_output. `last_exit_code` is that of the process
    // that ended last, as far as it was seen here (what its own parent reaped was not).
    std::function<void(int last_exit_code)> on_gone;
  };

  virtual ~JobProcess() = default;
  // To the command's process group.
  virtual void signal(int number) = 0;
  // Whether some process of the job has a handler for this signal: without one it cannot save at it.
  virtual bool catches(int number) const = 0;
  // To those processes of the job only: it would end the others, such as the shell above a program.
  virtual void signalCatchers(int number) = 0;
  // SIGKILL to every process of the job, until none is left; on_gone follows.
  virtual void killAll() = 0;
  // While paused nothing is read: the job waits when its pipe is full. Ends by itself when the job is gone.
  virtual void pauseOutput(bool paused) = 0;
  // Why it ended as it did, where more is known than its exit code; empty: no more.
  virtual std::string explanation() const { return {}; }
};

}  // namespace buoy::agent
