#include "os/child.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "os/process.h"
#include "os/process_table.h"

namespace buoy::os {

Result<Pipe> makePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failErrno(errno, "make a pipe");
  Pipe pipe{Fd(ends[0]), Fd(ends[1])};
  // Only this end: the other one is the job's, which need not expect it.
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

Result<Child> startChild(const ChildOptions& options) {
  BUOY_TRY(Pipe out, makePipe());
  BUOY_TRY(Pipe err, makePipe());
  SpawnOptions spawn_options;
  spawn_options.command = options.command;
  spawn_options.environment = options.environment;
  spawn_options.directory = options.directory;
  spawn_options.fds = {{out.write.get(), STDOUT_FILENO}, {err.write.get(), STDERR_FILENO}};
  spawn_options.new_session = true;
  spawn_options.parent_death_signal = options.die_with_parent ? SIGKILL : 0;
  BUOY_TRY(const Spawned spawned, spawn(spawn_options));
  return Child{spawned.pid, std::move(out.read), std::move(err.read)};
}

void signalDescendants(int number) {
  if (::getpid() == 1) {
    ::kill(-1, number);
    return;
  }
  for (const pid_t pid : descendantsOf(::getpid())) ::kill(pid, number);
}

}  // namespace buoy::os
