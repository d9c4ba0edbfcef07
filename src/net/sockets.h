#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"

// Sockets: all close-on-exec and non-blocking.
namespace buoy::net {

// A socket's address, big enough for every family.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The address of a Unix socket file, also of one whose path is longer than the 107 bytes that fit into
// sockaddr_un: then it goes through /proc/self/fd and is valid only as long as this object.
class UnixAddress {
 public:
  static Result<UnixAddress> create(const std::string& path);
  const SocketAddress& address() const { return address_; }

 private:
  SocketAddress address_;
  os::Fd directory_;
};

// The addresses of a host: of an IP literal and "localhost" without asking the system's resolver, which a
// static program may not have. Blocks in getaddrinfo for other names.
Result<std::vector<SocketAddress>> resolveHost(const std::string& host, std::uint16_t port);

Result<os::Fd> makeSocket(int family);  // stream

struct UnixListener {
  os::Fd fd;
  // The identity of the socket file, so that closing removes no other server's.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};
// Listens at `path`, mode 0600 from the start. A stale socket file is replaced in one step; already_exists if
// a server answers there, or if it is no socket.
Result<UnixListener> listenOnUnixSocket(const std::string& path);
// Removes the socket file if it is still the listener's.
void removeUnixSocket(const std::string& path, const UnixListener& listener);

struct TcpListener {
  os::Fd fd;
  std::uint16_t port = 0;  // the bound one, also when 0 was asked for
  int family = 0;
};
Result<TcpListener> listenOnTcp(const std::string& host, std::uint16_t port);

}  // namespace buoy::net
