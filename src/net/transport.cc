#include "net/transport.h"

#include <pthread.h>
#include <signal.h>
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

// sendfile(2) has no MSG_NOSIGNAL: the signal of a peer that has gone comes to this thread, and is taken
// here.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const int error = errno;
    if (::sigismember(&before_, SIGPIPE) == 0) {
      const struct timespec at_once {};
      if (error == EPIPE) (void)::sigtimedwait(&pipe_, nullptr, &at_once);
      ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    errno = error;
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_{}, before_{};
};

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
      const WithoutSigpipe guard;
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
