#include "agent/supervisor.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/process_table.h"

namespace buoy::agent {

void blockSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // SIGIO: sent when somebody opens a file that CheckpointWatch has just asked about.
  for (const int number : {SIGPIPE, SIGHUP, SIGIO}) ::signal(number, SIG_IGN);
}

Supervisor::Supervisor(os::EventLoop& loop, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), output_(loop, callbacks_.on_output) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  signals_ = os::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  BUOY_CHECK(signals_);
  loop_.watch(signals_.get(), [this] {
    std::array<signalfd_siginfo, 8> received{};
    while (::read(signals_.get(), received.data(), sizeof received) > 0) {
    }
    reap();
  });
}

Supervisor::~Supervisor() {
  loop_.unwatch(signals_.get());
  if (running_) os::signalDescendants(SIGKILL);
}

Status Supervisor::start(const std::string& command, const std::string& directory,
                         std::vector<std::string> environment) {
  BUOY_CHECK(!running_);
  // As process 1 the agent takes the whole namespace with it when it dies; elsewhere the kernel is asked to
  // kill.
  BUOY_TRY(child_,
           os::startChild({{"/bin/sh", "-c", command}, std::move(environment), directory, ::getpid() != 1}));
  running_ = true;
  exited_ = killing_ = false;
  output_.begin(std::move(child_->out), std::move(child_->err));
  return {};
}

void Supervisor::signal(int number) {
  if (running_) ::kill(-child_->pid, number);
}

std::vector<pid_t> Supervisor::catchers(int number) const {
  if (!running_ || !child_) return {};
  std::vector<pid_t> all = os::descendantsOf(child_->pid);
  all.push_back(child_->pid);
  std::erase_if(all, [&](pid_t pid) { return !os::catchesSignal(pid, number); });
  return all;
}

void Supervisor::signalCatchers(int number) {
  for (const pid_t pid : catchers(number)) ::kill(pid, number);
}

void Supervisor::killAll() {
  if (!running_) return;
  killing_ = true;
  ::kill(-child_->pid, SIGKILL);
  os::signalDescendants(SIGKILL);
  reap();
}

void Supervisor::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0) {
      if (errno == ECHILD && running_) finish();
      return;
    }
    if (pid == 0) {
      // What a dying parent forked in its last moment has come to this process: kill it too.
      if (killing_) os::signalDescendants(SIGKILL);
      return;
    }
    last_exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (child_ && pid == child_->pid && running_ && !exited_) {
      exited_ = true;
      callbacks_.on_exit(last_exit_code_);
    }
  }
}

void Supervisor::finish() {
  running_ = false;
  output_.finish();
  child_.reset();
  callbacks_.on_gone(last_exit_code_);
}

}  // namespace buoy::agent
