#include "control/serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "os/fd.h"
#include "os/log.h"

namespace buoy::control {
namespace {

Result<os::Fd> stopSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) return fail(ErrorCode::internal, "block signals");
  os::Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return failErrno(errno, "signalfd");
  return fd;
}

void waitForStop(const os::Fd& signals, const os::Fd& requests) {
  pollfd either[] = {{signals.get(), POLLIN, 0}, {requests.get(), POLLIN, 0}};
  while (::poll(either, 2, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<int> serve(ServeOptions options) {
  ::signal(SIGPIPE, SIG_IGN);
  // A full disk or a limit shows as a failed write, which is dealt with, not as a signal.
  ::signal(SIGXFSZ, SIG_IGN);
  BUOY_TRY(const os::Fd signals, stopSignals());
  const os::Fd requests(::eventfd(0, EFD_CLOEXEC));
  if (!requests) return failErrno(errno, "eventfd");
  options.control.on_stop_requested = [&] { (void)::eventfd_write(requests.get(), 1); };
  BUOY_TRY(const auto plane, ControlPlane::start(std::move(options.control)));
  if (options.ready) options.ready(*plane);
  waitForStop(signals, requests);
  os::log(os::LogLevel::info, "stopping");
  plane->stop();
  return 0;
}

}  // namespace buoy::control
