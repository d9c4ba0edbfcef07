#include "net/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::net {

namespace {

constexpr int kBacklog = 1024;

bool parseLiteral(const std::string& host, std::uint16_t port, SocketAddress& address) {
  sockaddr_in v4 = {};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
    return true;
  }
  sockaddr_in6 v6 = {};
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
    return true;
  }
  return false;
}

// Whether a server accepts connections at this socket file. A full backlog is a live server too.
Result<bool> somebodyListens(const std::string& path) {
  BUOY_TRY(auto address, UnixAddress::create(path));
  BUOY_TRY(auto fd, makeSocket(AF_UNIX));
  if (::connect(fd.get(), address.address().get(), address.address().size) == 0) return true;
  if (errno == EAGAIN) return true;
  if (errno == ECONNREFUSED || errno == ENOENT) return false;
  return failErrno(errno, strCat({"cannot tell whether a server listens on ", path}));
}

Status refuseIfTaken(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return failErrno(errno, path);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return fail(ErrorCode::already_exists, strCat({path, " exists and is not a socket"}));
  }
  BUOY_TRY(const bool taken, somebodyListens(path));
  if (taken) return fail(ErrorCode::already_exists, strCat({"a server is already listening on ", path}));
  return {};
}

std::uint16_t portOf(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

}  // namespace

Result<UnixAddress> UnixAddress::create(const std::string& path) {
  UnixAddress result;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string short_path = path;
  if (path.size() >= sizeof address.sun_path) {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    BUOY_TRY(result.directory_, os::openFile(directory, O_PATH | O_DIRECTORY));
    short_path = strCat({"/proc/self/fd/", std::to_string(result.directory_.get()), "/",
                         std::string_view(path).substr(slash + 1)});
  }
  if (short_path.empty() || short_path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, strCat({"\"", path, "\" cannot be the path of a socket"}));
  }
  std::memcpy(address.sun_path, short_path.data(), short_path.size());
  std::memcpy(&result.address_.storage, &address, sizeof address);
  result.address_.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + short_path.size() + 1);
  return result;
}

Result<std::vector<SocketAddress>> resolveHost(const std::string& host, std::uint16_t port) {
  std::vector<SocketAddress> addresses;
  const auto add = [&](const std::string& literal) {
    SocketAddress address;
    if (parseLiteral(literal, port, address)) addresses.push_back(address);
  };
  add(host);
  if (host == "localhost") {
    add("127.0.0.1");
    add("::1");
  }
  if (!addresses.empty()) return addresses;

  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (status != 0) {
    return fail(ErrorCode::unavailable, strCat({"cannot resolve ", host, ": ", ::gai_strerror(status)}),
                true);
  }
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.size = entry->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

Result<os::Fd> makeSocket(int family) {
  os::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failErrno(errno, "cannot make a socket");
  return fd;
}

Result<UnixListener> listenOnUnixSocket(const std::string& path) {
  BUOY_TRY_VOID(refuseIfTaken(path));
  // Made under another name and renamed when it listens: at no instant is there a socket file that nobody
  // serves, and of two servers that start at once the later has a whole socket, never a mixture.
  const std::string temporary = strCat({path, ".", std::to_string(::getpid()), ".new"});
  BUOY_TRY(auto address, UnixAddress::create(temporary));
  UnixListener listener;
  BUOY_TRY(listener.fd, makeSocket(AF_UNIX));
  ::unlink(temporary.c_str());
  // The mode of the socket is what bind gives the file, so the file never has a wider one.
  if (::fchmod(listener.fd.get(), 0600) != 0) return failErrno(errno, path);
  if (::bind(listener.fd.get(), address.address().get(), address.address().size) != 0)
    return failErrno(errno, path);
  struct stat status = {};
  if (::listen(listener.fd.get(), kBacklog) != 0 || ::chmod(temporary.c_str(), 0600) != 0 ||
      ::lstat(temporary.c_str(), &status) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failErrno(error, path);
  }
  listener.device = status.st_dev;
  listener.inode = status.st_ino;
  return listener;
}

void removeUnixSocket(const std::string& path, const UnixListener& listener) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (status.st_dev == listener.device && status.st_ino == listener.inode) ::unlink(path.c_str());
}

Result<TcpListener> listenOnTcp(const std::string& host, std::uint16_t port) {
  const std::string place = strCat({host, ":", std::to_string(port)});
  BUOY_TRY(const auto addresses, resolveHost(host.empty() ? "0.0.0.0" : host, port));
  const SocketAddress& address = addresses.front();
  TcpListener listener;
  BUOY_TRY(listener.fd, makeSocket(address.storage.ss_family));
  const int on = 1;
  ::setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(listener.fd.get(), address.get(), address.size) != 0 ||
      ::listen(listener.fd.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE) return fail(ErrorCode::already_exists, strCat({place, " is already in use"}));
    return failErrno(errno, strCat({"cannot listen on ", place}));
  }
  sockaddr_storage bound = {};
  socklen_t size = sizeof bound;
  if (::getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return failErrno(errno, place);
  }
  listener.port = portOf(bound);
  listener.family = bound.ss_family;
  return listener;
}

}  // namespace buoy::net
