#include "net/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/strings.h"

namespace buoy::net {

namespace {

constexpr auto kFullBacklogRetry = std::chrono::milliseconds{2};

}  // namespace

tl::unexpected<Error> failUnavailable(std::string message) {
  return fail(ErrorCode::unavailable, std::move(message), true);
}

Deadline deadlineAfter(Duration timeout) {
  return SteadyClock::now() + std::min<Duration>(timeout, std::chrono::hours{24 * 365});
}

Dialer::Dialer(Endpoint endpoint, ClientOptions options)
    : endpoint_(std::move(endpoint)),
      options_(std::move(options)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BUOY_CHECK(wake_);
}

void Dialer::cancel() {
  cancelled_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

Result<std::unique_ptr<Transport>> Dialer::connect(Deadline deadline) {
  deadline = std::min(deadline, deadlineAfter(options_.connect_timeout));
  BUOY_TRY(auto fd,
           endpoint_.kind == Endpoint::Kind::unix_socket ? connectUnix(deadline) : connectTcp(deadline));
  if (endpoint_.kind != Endpoint::Kind::tls) return makePlainTransport(std::move(fd));
  if (tls_ == nullptr) {
    BUOY_TRY(tls_, makeTlsClientContext(options_));
  }
  BUOY_TRY(auto transport, tls_->connect(std::move(fd), endpoint_.host));
  BUOY_TRY_VOID(handshake(*transport, deadline));
  return transport;
}

Result<os::Fd> Dialer::connectUnix(Deadline deadline) const {
  BUOY_TRY(auto address, UnixAddress::create(endpoint_.path));
  return connectTo(address.address(), deadline);
}

Result<os::Fd> Dialer::connectTcp(Deadline deadline) const {
  BUOY_TRY(const auto addresses, resolveHost(endpoint_.host, endpoint_.port));
  Error last;
  for (const SocketAddress& address : addresses) {
    auto fd = connectTo(address, deadline);
    if (fd || fd.error().code == ErrorCode::cancelled) return fd;
    last = std::move(fd).error();
  }
  return fail(std::move(last));
}

Result<os::Fd> Dialer::connectTo(const SocketAddress& address, Deadline deadline) const {
  BUOY_TRY(auto fd, makeSocket(address.storage.ss_family));
  const auto failed = [&](int error) {
    return failUnavailable(
        strCat({"cannot connect to ", name(), ": ", std::generic_category().message(error)}));
  };
  while (::connect(fd.get(), address.get(), address.size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {  // a Unix socket whose backlog is full; it tells nobody when there is room again
      auto woken = wait(-1, 0, std::min(deadline, SteadyClock::now() + kFullBacklogRetry));
      if (!woken && (woken.error().code == ErrorCode::cancelled || SteadyClock::now() >= deadline)) {
        return fail(woken.error());
      }
      continue;
    }
    if (errno == EISCONN) break;
    if (errno != EINPROGRESS && errno != EALREADY) return failed(errno);
    BUOY_TRY_VOID(wait(fd.get(), POLLOUT, deadline));
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return failed(error);
    break;
  }
  if (address.storage.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return fd;
}

Status Dialer::handshake(Transport& transport, Deadline deadline) const {
  for (;;) {
    IoStep step = transport.handshake();
    switch (step.kind) {
      case IoStep::Kind::done:
        return {};
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(wait(transport.fd(), POLLIN, deadline));
        break;
      case IoStep::Kind::want_write:
        BUOY_TRY_VOID(wait(transport.fd(), POLLOUT, deadline));
        break;
      case IoStep::Kind::eof:
        return failUnavailable(strCat({name(), " closed the connection"}));
      case IoStep::Kind::failed:
        return fail(step.error.wrap(strCat({"cannot connect to ", name()})));
    }
  }
}

Result<short> Dialer::wait(int fd, short events, Deadline deadline) const {
  for (;;) {
    if (cancelled_) return fail(ErrorCode::cancelled, "the request was cancelled");
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0) {
      return fail(ErrorCode::deadline_exceeded, strCat({"no answer from ", name(), " in time"}), true);
    }
    std::array<pollfd, 2> fds = {{{fd, events, 0}, {wake_.get(), POLLIN, 0}}};
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(std::min<long>(left, 1L << 30)));
    if (ready < 0 && errno != EINTR) return failErrno(errno, "poll");
    if (ready > 0 && fds[0].revents != 0 && !cancelled_) return fds[0].revents;
  }
}

}  // namespace buoy::net
