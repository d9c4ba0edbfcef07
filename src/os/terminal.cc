#include "os/terminal.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace buoy::os {
namespace {

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

bool isTerminal(int fd) {
  return isatty(fd) == 1;
}

int terminalColumns(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

Result<std::string> executablePath() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length < 0) return failErrno(errno, "cannot find this program's own file");
  return std::string(path.data(), static_cast<std::size_t>(length));
}

Result<InterruptWatch> InterruptWatch::create() {
  const sigset_t set = interrupts();
  Fd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return failErrno(errno, "signalfd");
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0)
    return failErrno(error, "pthread_sigmask");
  return InterruptWatch(std::move(fd));
}

InterruptWatch::~InterruptWatch() {
  if (!fd_) return;
  const sigset_t set = interrupts();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

int InterruptWatch::take() {
  signalfd_siginfo info{};
  return read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)
             ? static_cast<int>(info.ssi_signo)
             : 0;
}

bool waitReadable(int fd, Duration limit) {
  pollfd entry{fd, POLLIN, 0};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  return poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(ms, 0, 1'000'000))) > 0;
}

}  // namespace buoy::os
