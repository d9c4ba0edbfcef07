#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"
#include "os/fd.h"

namespace buoy::net {

// One step of input or output on a non-blocking connection.
struct IoStep {
  enum class Kind {
    done,        // `bytes` were moved (never 0)
    want_read,   // call again when the socket is readable
    want_write,  // … writable
    eof,
    failed,
  } kind = Kind::done;
  std::size_t bytes = 0;
  Error error = {};  // failed
};

// A client's connection: the plain socket or TLS over it. One thread.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int fd() const = 0;
  // To be called until it is done, before read and write; `bytes` of its `done` means nothing.
  virtual IoStep handshake() = 0;
  virtual IoStep read(char* data, std::size_t size) = 0;
  virtual IoStep write(std::string_view data) = 0;
  // Sends from a file, without copying: `failed` with ErrorCode::invalid_argument where that is not possible
  // (a TLS connection, a file that the kernel cannot send from); `eof`: the file is shorter.
  virtual IoStep sendFile(int file, std::uint64_t offset, std::size_t size) = 0;
};

std::unique_ptr<Transport> makePlainTransport(os::Fd fd);

// What several connections of one client share: trusted certificates are read once.
class TlsClientContext {
 public:
  virtual ~TlsClientContext() = default;
  // Checks the server's certificate against `host` and the trusted ones, or against the pinned fingerprint.
  virtual Result<std::unique_ptr<Transport>> connect(os::Fd fd, const std::string& host) = 0;
};
Result<std::unique_ptr<TlsClientContext>> makeTlsClientContext(const ClientOptions& options);

}  // namespace buoy::net
