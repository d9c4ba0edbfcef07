#include "agent/keeper/shown_command.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "os/attached.h"
#include "os/process.h"

namespace buoy::agent {
namespace {

constexpr Duration kKillPatience = std::chrono::seconds{5};

}  // namespace

Result<int> runShown(const Words& command, const Environment& environment, os::InterruptWatch* interrupts,
                     const std::string& directory) {
  os::SpawnOptions options;
  options.environment = environmentWords(environment);
  options.command = command;
  BUOY_TRY(options.command[0], os::findProgram(command[0], options.environment));
  options.directory = directory;
  options.fds = {{STDOUT_FILENO, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  options.new_session = true;
  BUOY_TRY(os::Spawned child, os::spawn(options));
  for (;;) {
    pollfd waited[] = {{child.handle.fd(), POLLIN, 0},
                       {interrupts == nullptr ? -1 : interrupts->fd(), POLLIN, 0}};
    if (::poll(waited, 2, -1) < 0 && errno != EINTR) return failErrno(errno, "wait for " + command[0]);
    if ((waited[0].revents & POLLIN) != 0) break;
    if ((waited[1].revents & POLLIN) == 0) continue;
    ::kill(-child.pid, SIGTERM);
    if (!child.handle.waitEnded(kKillPatience)) ::kill(-child.pid, SIGKILL);
    child.handle.waitEnded(kKillPatience);
    (void)child.handle.reap();
    return fail(ErrorCode::cancelled, command[0] + " was ended by a signal");
  }
  const auto status = child.handle.reap();
  return status ? status->code : 1;
}

Error becomeCommand(const Words& command, const Environment& environment) {
  const Words variables = environmentWords(environment);
  auto path = os::findProgram(command[0], variables);
  if (!path) return path.error();
  std::vector<char*> argv, envp;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : variables) envp.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  ::execve(path->c_str(), argv.data(), envp.data());
  return failErrno(errno, "run " + *path).value();
}

}  // namespace buoy::agent
