#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "net/http.h"
#include "net/sockets.h"
#include "net/transport.h"
#include "os/fd.h"

namespace buoy::net {

using SteadyClock = std::chrono::steady_clock;
using Deadline = SteadyClock::time_point;

// Clamped: a deadline computed from Duration::max() must not overflow.
Deadline deadlineAfter(Duration timeout);

// unavailable, and worth another try.
tl::unexpected<Error> failUnavailable(std::string message);

// Makes a client's connections and does its waiting, so that one cancel() ends both. One thread, but cancel()
// from any.
class Dialer {
 public:
  Dialer(Endpoint endpoint, ClientOptions options);

  // Connected, and through the TLS handshake. Errors as Client's.
  Result<std::unique_ptr<Transport>> connect(Deadline deadline);
  // What poll(2) says of `fd` (-1: nothing, only the time counts). deadline_exceeded, cancelled.
  Result<short> wait(int fd, short events, Deadline deadline) const;
  void cancel();
  bool cancelled() const { return cancelled_; }

  const Endpoint& endpoint() const { return endpoint_; }
  std::string name() const { return endpoint_.toString(); }

 private:
  Result<os::Fd> connectUnix(Deadline deadline) const;
  Result<os::Fd> connectTcp(Deadline deadline) const;
  Result<os::Fd> connectTo(const SocketAddress& address, Deadline deadline) const;
  Status handshake(Transport& transport, Deadline deadline) const;

  const Endpoint endpoint_;
  const ClientOptions options_;
  os::Fd wake_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<TlsClientContext> tls_;
};

}  // namespace buoy::net
