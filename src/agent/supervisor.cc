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
    : loop_(loop), callbacks_(std::move(callbacks)) {
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
  if (!child_) return;
  loop_.unwatch(child_->out.get());
  loop_.unwatch(child_->err.get());
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
  exited_ = killing_ = paused_ = false;
  watchOutput();
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

void Supervisor::pauseOutput(bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  if (!running_) return;
  if (paused_) {
    loop_.unwatch(child_->out.get());
    loop_.unwatch(child_->err.get());
  } else {
    watchOutput();
  }
}

void Supervisor::watchOutput() {
  if (paused_) return;
  if (child_->out) loop_.watch(child_->out.get(), [this] { readOutput('o'); });
  if (child_->err) loop_.watch(child_->err.get(), [this] { readOutput('e'); });
}

void Supervisor::readOutput(char stream) {
  os::Fd& fd = stream == 'o' ? child_->out : child_->err;
  if (readOnce(stream, fd.get()) != Got::end) return;
  loop_.unwatch(fd.get());
  fd.reset();
}

// One piece at a time, so that a chatty job does not keep the loop from its other work.
Supervisor::Got Supervisor::readOnce(char stream, int fd) {
  std::array<char, 32 * 1024> buffer;
  ssize_t size = 0;
  do size = ::read(fd, buffer.data(), buffer.size());
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return Got::nothing_yet;
  if (size <= 0) return Got::end;
  callbacks_.on_output(stream, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  return Got::data;
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
  // Nobody can write any more: take what is still in the pipes, also if output was paused.
  for (const char stream : {'o', 'e'}) {
    os::Fd& fd = stream == 'o' ? child_->out : child_->err;
    if (!fd) continue;
    loop_.unwatch(fd.get());
    while (readOnce(stream, fd.get()) == Got::data) {
    }
    fd.reset();
  }
  child_.reset();
  callbacks_.on_gone(last_exit_code_);
}

}  // namespace buoy::agent
