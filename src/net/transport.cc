#include "net/transport.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include <cerrno>

namespace buoy::net {

namespace {

IoStep failedStep(int error) {
  Error described = failErrno(error, "connection").value();
  described.code = ErrorCode::unavailable;
  described.retryable = true;
  return {IoStep::Kind::failed, 0, std::move(described)};
}

IoStep cannotSendFile() {
  return {IoStep::Kind::failed, 0,
          Error{ErrorCode::invalid_argument, "the kernel cannot send from this file"}};
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(os::Fd fd) : fd_(std::move(fd)) {}

  int fd() const override { return fd_.get(); }
  IoStep handshake() override { return {}; }

  IoStep read(char* data, std::size_t size) override {
    for (;;) {
      const ssize_t count = ::recv(fd_.get(), data, size, 0);
      if (count > 0) return {IoStep::Kind::done, static_cast<std::size_t>(count)};
      if (count == 0) return {IoStep::Kind::eof};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStep::Kind::want_read};
      return failedStep(errno);
    }
  }

  IoStep write(std::string_view data) override {
    for (;;) {
      const ssize_t count = ::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL);
      if (count >= 0) return {IoStep::Kind::done, static_cast<std::size_t>(count)};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStep::Kind::want_write};
      return failedStep(errno);
    }
  }

  IoStep sendFile(int file, std::uint64_t offset, std::size_t size) override {
    for (;;) {
      auto from = static_cast<off_t>(offset);
      const ssize_t count = ::sendfile(fd_.get(), file, &from, size);
      if (count > 0) return {IoStep::Kind::done, static_cast<std::size_t>(count)};
      if (count == 0) return {IoStep::Kind::eof};
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return {IoStep::Kind::want_write};
      if (errno == EINVAL || errno == ENOSYS) return cannotSendFile();
      return failedStep(errno);
    }
  }

 private:
  os::Fd fd_;
};

}  // namespace

std::unique_ptr<Transport> makePlainTransport(os::Fd fd) {
  return std::make_unique<PlainTransport>(std::move(fd));
}

}  // namespace buoy::net
