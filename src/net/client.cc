#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <vector>

#include "base/strings.h"
#include "net/http.h"
#include "net/message_parser.h"
#include "net/sockets.h"
#include "net/transport.h"
#include "net/wire.h"

// Plain sockets and poll(2), not Asio: the agent is small and `buoy ps` starts fast because of it. OpenSSL is
// touched only for TLS endpoints.
namespace buoy::net {

namespace {

using SteadyClock = std::chrono::steady_clock;
using Deadline = SteadyClock::time_point;

constexpr std::size_t kReadSize = 32u << 10;
// A body up to this size goes out in one write with its header.
constexpr std::size_t kOneWrite = 16u << 10;
constexpr auto kFullBacklogRetry = std::chrono::milliseconds{2};

tl::unexpected<Error> failUnavailable(std::string message) {
  return fail(ErrorCode::unavailable, std::move(message), true);
}

Deadline deadlineAfter(Duration timeout) {
  // Clamped: a deadline computed from Duration::max() must not overflow.
  return SteadyClock::now() + std::min<Duration>(timeout, std::chrono::hours{24 * 365});
}

// How long one exchange may take.
class Patience {
 public:
  static Patience total(Duration timeout) { return Patience(timeout, false); }
  static Patience silence(Duration timeout) { return Patience(timeout, true); }
  Deadline deadline() const { return deadline_; }
  void progress() {
    if (renews_) deadline_ = deadlineAfter(timeout_);
  }

 private:
  Patience(Duration timeout, bool renews)
      : timeout_(timeout), renews_(renews), deadline_(deadlineAfter(timeout)) {}
  Duration timeout_;
  bool renews_;
  Deadline deadline_;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(Endpoint endpoint, ClientOptions options)
      : endpoint_(std::move(endpoint)),
        options_(std::move(options)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        parser_(options_.max_response),
        stream_parser_(0) {
    BUOY_CHECK(wake_);
  }

  Result<Response> send(const Request& request, Duration timeout) override {
    return exchange(request, Patience::total(timeout), nullptr);
  }

  Result<Response> stream(const Request& request, Duration idle_timeout,
                          const std::function<bool(std::string_view)>& on_chunk) override {
    return exchange(request, Patience::silence(idle_timeout), &on_chunk);
  }

  void cancel() override {
    cancelled_ = true;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }

 private:
  using OnChunk = std::function<bool(std::string_view)>;
  // What became of one try; `untouched` means that the server has certainly not answered any of it.
  struct Attempt {
    Result<Response> result;
    bool untouched = false;
  };

  Result<Response> exchange(const Request& request, Patience patience, const OnChunk* on_chunk);
  Attempt tryOnce(const Request& request, std::string_view head, Patience& patience, const OnChunk* on_chunk);
  Status ensureConnected(Deadline deadline);
  bool connectionIsDead() const;
  Result<os::Fd> connectUnix(Deadline deadline);
  Result<os::Fd> connectTcp(Deadline deadline);
  Result<os::Fd> connectTo(const SocketAddress& address, Deadline deadline);
  Result<std::unique_ptr<Transport>> makeTransport(os::Fd fd);
  Status handshake(Deadline deadline);
  Result<bool> sendRequest(std::string_view head, std::string_view body, Patience& patience);
  Result<bool> sendPiece(std::string_view data, Patience& patience);
  Status receive(ResponseParser& parser, bool to_head_request, Patience& patience, const OnChunk* on_chunk);
  Result<std::size_t> readSome(Patience& patience);
  Result<short> wait(int fd, short events, Deadline deadline);
  std::string name() const { return endpoint_.toString(); }

  Endpoint endpoint_;
  ClientOptions options_;
  os::Fd wake_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<TlsClientContext> tls_;
  std::unique_ptr<Transport> transport_;  // null when not connected
  ResponseParser parser_;
  ResponseParser stream_parser_;
  std::vector<char> buffer_;
  std::size_t buffered_ = 0;  // bytes at the front of buffer_ that are not parsed yet
  bool received_ = false;     // anything of this answer
  bool stopped_by_caller_ = false;
};

Result<Response> ClientImpl::exchange(const Request& request, Patience patience, const OnChunk* on_chunk) {
  const std::string host =
      endpoint_.kind == Endpoint::Kind::unix_socket ? "localhost" : name().substr(name().find("//") + 2);
  BUOY_TRY(const auto head, formatRequestHead(request, host, options_.bearer_token));
  for (bool is_retry = false;; is_retry = true) {
    if (cancelled_) return fail(ErrorCode::cancelled, "the request was cancelled");
    const bool reused = transport_ != nullptr && !connectionIsDead();
    if (!reused) transport_.reset();
    Attempt attempt = tryOnce(request, head, patience, on_chunk);
    if (!attempt.result) transport_.reset();
    // The server may close an idle connection just when a request is on its way; then nothing of an answer
    // comes.
    if (attempt.result || !attempt.untouched || !reused || is_retry) return std::move(attempt.result);
  }
}

ClientImpl::Attempt ClientImpl::tryOnce(const Request& request, std::string_view head, Patience& patience,
                                        const OnChunk* on_chunk) {
  received_ = false;
  stopped_by_caller_ = false;
  buffered_ = 0;
  ResponseParser& parser = on_chunk == nullptr ? parser_ : stream_parser_;
  const bool to_head_request = request.method == "HEAD";
  const auto failed = [&](Error error) {
    const bool cut = error.code == ErrorCode::unavailable;
    return Attempt{fail(std::move(error)), cut && !received_};
  };
  if (auto status = ensureConnected(patience.deadline()); !status) return {fail(status.error()), false};
  auto whole = sendRequest(head, request.body, patience);
  if (!whole) return failed(whole.error());
  if (auto status = receive(parser, to_head_request, patience, on_chunk); !status)
    return failed(status.error());
  if (!*whole || stopped_by_caller_ || !parser.keepAlive() || buffered_ > 0) transport_.reset();
  return {std::move(parser.response()), false};
}

Status ClientImpl::ensureConnected(Deadline deadline) {
  if (transport_ != nullptr) return {};
  deadline = std::min(deadline, deadlineAfter(options_.connect_timeout));
  BUOY_TRY(auto fd,
           endpoint_.kind == Endpoint::Kind::unix_socket ? connectUnix(deadline) : connectTcp(deadline));
  BUOY_TRY(transport_, makeTransport(std::move(fd)));
  if (auto status = handshake(deadline); !status) {
    transport_.reset();
    return status;
  }
  return {};
}

bool ClientImpl::connectionIsDead() const {
  // An idle connection has nothing to read; an end or unasked data (TLS session tickets aside) makes it
  // unusable.
  char byte = 0;
  const ssize_t count = ::recv(transport_->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count > 0) return endpoint_.kind != Endpoint::Kind::tls;
  return count == 0 || (errno != EAGAIN && errno != EINTR);
}

Result<os::Fd> ClientImpl::connectUnix(Deadline deadline) {
  BUOY_TRY(auto address, UnixAddress::create(endpoint_.path));
  return connectTo(address.address(), deadline);
}

Result<os::Fd> ClientImpl::connectTcp(Deadline deadline) {
  BUOY_TRY(const auto addresses, resolveHost(endpoint_.host, endpoint_.port));
  Error last;
  for (const SocketAddress& address : addresses) {
    auto fd = connectTo(address, deadline);
    if (fd || fd.error().code == ErrorCode::cancelled) return fd;
    last = std::move(fd).error();
  }
  return fail(std::move(last));
}

Result<os::Fd> ClientImpl::connectTo(const SocketAddress& address, Deadline deadline) {
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

Result<std::unique_ptr<Transport>> ClientImpl::makeTransport(os::Fd fd) {
  if (endpoint_.kind != Endpoint::Kind::tls) return makePlainTransport(std::move(fd));
  if (tls_ == nullptr) {
    BUOY_TRY(tls_, makeTlsClientContext(options_));
  }
  return tls_->connect(std::move(fd), endpoint_.host);
}

Status ClientImpl::handshake(Deadline deadline) {
  for (;;) {
    IoStep step = transport_->handshake();
    switch (step.kind) {
      case IoStep::Kind::done:
        return {};
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(wait(transport_->fd(), POLLIN, deadline));
        break;
      case IoStep::Kind::want_write:
        BUOY_TRY_VOID(wait(transport_->fd(), POLLOUT, deadline));
        break;
      case IoStep::Kind::eof:
        return failUnavailable(strCat({name(), " closed the connection"}));
      case IoStep::Kind::failed:
        return fail(step.error.wrap(strCat({"cannot connect to ", name()})));
    }
  }
}

// True when all was sent; false when the server began to answer before that, which it does to refuse a
// request.
Result<bool> ClientImpl::sendRequest(std::string_view head, std::string_view body, Patience& patience) {
  if (body.empty()) return sendPiece(head, patience);
  if (body.size() <= kOneWrite) return sendPiece(strCat({head, body}), patience);
  BUOY_TRY(const bool whole, sendPiece(head, patience));
  if (!whole) return false;
  return sendPiece(body, patience);
}

Result<bool> ClientImpl::sendPiece(std::string_view data, Patience& patience) {
  while (!data.empty()) {
    IoStep step = transport_->write(data);
    switch (step.kind) {
      case IoStep::Kind::done:
        data.remove_prefix(step.bytes);
        patience.progress();
        break;
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(wait(transport_->fd(), POLLIN, patience.deadline()));
        break;
      case IoStep::Kind::want_write: {
        BUOY_TRY(const short events, wait(transport_->fd(), POLLIN | POLLOUT, patience.deadline()));
        if ((events & POLLOUT) == 0 && endpoint_.kind != Endpoint::Kind::tls) return false;
        if ((events & POLLOUT) == 0) BUOY_TRY_VOID(wait(transport_->fd(), POLLOUT, patience.deadline()));
        break;
      }
      // The server may have answered and closed; what it said is worth more than "broken pipe".
      case IoStep::Kind::eof:
      case IoStep::Kind::failed:
        return false;
    }
  }
  return true;
}

Result<std::size_t> ClientImpl::readSome(Patience& patience) {
  if (buffer_.size() < buffered_ + kReadSize) buffer_.resize(buffered_ + kReadSize);
  for (;;) {
    IoStep step = transport_->read(buffer_.data() + buffered_, buffer_.size() - buffered_);
    switch (step.kind) {
      case IoStep::Kind::done:
        patience.progress();
        received_ = true;
        return step.bytes;
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(wait(transport_->fd(), POLLIN, patience.deadline()));
        break;
      case IoStep::Kind::want_write:
        BUOY_TRY_VOID(wait(transport_->fd(), POLLOUT, patience.deadline()));
        break;
      case IoStep::Kind::eof:
        return std::size_t{0};
      case IoStep::Kind::failed:
        return fail(step.error.wrap(name()));
    }
  }
}

Status ClientImpl::receive(ResponseParser& parser, bool to_head_request, Patience& patience,
                           const OnChunk* on_chunk) {
  parser.reset(to_head_request);
  for (;;) {
    BUOY_TRY(const std::size_t count, readSome(patience));
    buffered_ += count;
    if (count == 0) parser.putEof();
    std::size_t parsed = 0;
    while (!parser.done() && !parser.failed() && parsed < buffered_) {
      const std::size_t used = parser.put({buffer_.data() + parsed, buffered_ - parsed});
      parsed += used;
      if (parser.done() && parser.response().status / 100 == 1) {
        parser.reset(to_head_request);  // "100 Continue" and its like come before the answer
      } else if (used == 0) {
        break;
      }
    }
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(parsed),
              buffer_.begin() + static_cast<std::ptrdiff_t>(buffered_), buffer_.begin());
    buffered_ -= parsed;
    Response& response = parser.response();
    if (on_chunk != nullptr && parser.headerDone() && response.status / 100 == 2 && !response.body.empty()) {
      const bool wants_more = (*on_chunk)(response.body);
      response.body.clear();
      patience.progress();  // the callback's own time is no silence of the server
      if (!wants_more) {
        stopped_by_caller_ = true;
        return {};
      }
    }
    if (on_chunk != nullptr && response.body.size() > options_.max_response) {
      return fail(ErrorCode::internal, strCat({"the error answer of ", name(), " is too long"}));
    }
    if (parser.done()) return {};
    if (parser.failed() && count == 0) return failUnavailable(strCat({name(), ": ", parser.errorMessage()}));
    if (parser.failed()) {
      return fail(ErrorCode::internal,
                  strCat({"the answer of ", name(), " is not understood: ", parser.errorMessage()}));
    }
    if (cancelled_) return fail(ErrorCode::cancelled, "the request was cancelled");
  }
}

Result<short> ClientImpl::wait(int fd, short events, Deadline deadline) {
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

}  // namespace

std::unique_ptr<Client> makeClient(Endpoint endpoint, ClientOptions options) {
  return std::make_unique<ClientImpl>(std::move(endpoint), std::move(options));
}

}  // namespace buoy::net
