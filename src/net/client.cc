#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

#include "base/strings.h"
#include "net/dialer.h"
#include "net/http.h"
#include "net/message_parser.h"
#include "net/transport.h"
#include "net/wire.h"

// Plain sockets and poll(2), not Asio: the agent is small and `buoy ps` starts fast because of it. OpenSSL is
// touched only for TLS endpoints.
namespace buoy::net {

namespace {

constexpr std::size_t kReadSize = 32u << 10;
// Of a body that does not pass through the parser: fewer system calls, and still within the second-level
// cache.
constexpr std::size_t kLargeRead = 256u << 10;
// A body up to this size goes out in one write with its header.
constexpr std::size_t kOneWrite = 16u << 10;
// Of a file, at once: the caller hears of progress, and can slow it down, this often.
constexpr std::size_t kSendStep = 1u << 20;

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

// What is special about one request.
struct Plan {
  std::span<const BodyPiece> body;
  std::function<Status(std::string_view)> on_body;
  std::function<void(std::uint64_t)> on_moved;
  std::function<Status(const Response&)> on_header = nullptr;
};

class ClientImpl final : public Client {
 public:
  ClientImpl(Endpoint endpoint, ClientOptions options)
      : dialer_(std::move(endpoint), options),
        bearer_token_(std::move(options.bearer_token)),
        max_response_(options.max_response),
        parser_(options.max_response),
        stream_parser_(0) {}

  Result<Response> send(const Request& request, Duration timeout) override {
    return perform(request, Patience::total(timeout), {});
  }

  Result<Response> stream(const Request& request, Duration idle_timeout,
                          const std::function<bool(std::string_view)>& on_chunk) override {
    bool stopped = false;
    const auto take = [&](std::string_view piece) -> Status {
      if (on_chunk(piece)) return {};
      stopped = true;
      return fail(ErrorCode::cancelled, "stopped by the caller");
    };
    auto response = perform(request, Patience::silence(idle_timeout), {{}, take, {}});
    if (!response && stopped) return std::move(stream_parser_.response());
    return response;
  }

  Result<Response> exchange(const Request& request, const Exchange& exchange) override {
    return perform(request, Patience::silence(exchange.idle_timeout),
                   {exchange.body, exchange.on_body, exchange.on_moved, exchange.on_header});
  }

  void cancel() override { dialer_.cancel(); }

 private:
  // What became of one try; `untouched` means that the server has certainly not answered any of it.
  struct Attempt {
    Result<Response> result;
    bool untouched = false;
  };

  Result<Response> perform(const Request& request, Patience patience, const Plan& plan);
  Attempt tryOnce(const Request& request, std::string_view head, Patience& patience, const Plan& plan);
  bool connectionIsDead() const;
  Result<bool> sendRequest(std::string_view head, const Request& request, const Plan& plan,
                           Patience& patience);
  Result<bool> sendPiece(std::string_view data, const Plan& plan, Patience& patience);
  Result<bool> sendFile(const BodyPiece& piece, const Plan& plan, Patience& patience);
  Result<bool> sendFileByCopy(const BodyPiece& piece, std::uint64_t from, const Plan& plan,
                              Patience& patience);
  Result<bool> waitToSend(Patience& patience);
  Status receive(ResponseParser& parser, bool to_head_request, Patience& patience, const Plan& plan);
  Status receivePastParser(std::uint64_t size, Patience& patience, const Plan& plan);
  Result<std::size_t> readInto(std::span<char> space, Patience& patience);
  Result<std::size_t> readSome(Patience& patience);
  std::string name() const { return dialer_.name(); }

  Dialer dialer_;
  const std::string bearer_token_;
  const std::uint64_t max_response_;
  std::unique_ptr<Transport> transport_;  // null when not connected
  ResponseParser parser_;
  ResponseParser stream_parser_;
  std::vector<char> buffer_;
  std::size_t buffered_ = 0;  // bytes at the front of buffer_ that are not parsed yet
  bool received_ = false;     // anything of this answer
};

Result<Response> ClientImpl::perform(const Request& request, Patience patience, const Plan& plan) {
  const std::string host = dialer_.endpoint().kind == Endpoint::Kind::unix_socket
                               ? "localhost"
                               : name().substr(name().find("//") + 2);
  std::uint64_t body_size = request.body.size();
  for (const BodyPiece& piece : plan.body) body_size += piece.length();
  BUOY_TRY(const auto head, formatRequestHead(request, host, bearer_token_, body_size));
  for (bool is_retry = false;; is_retry = true) {
    if (dialer_.cancelled()) return fail(ErrorCode::cancelled, "the request was cancelled");
    const bool reused = transport_ != nullptr && !connectionIsDead();
    if (!reused) transport_.reset();
    Attempt attempt = tryOnce(request, head, patience, plan);
    if (!attempt.result) transport_.reset();
    // The server may close an idle connection just when a request is on its way; then nothing of an answer
    // comes.
    if (attempt.result || !attempt.untouched || !reused || is_retry) return std::move(attempt.result);
  }
}

ClientImpl::Attempt ClientImpl::tryOnce(const Request& request, std::string_view head, Patience& patience,
                                        const Plan& plan) {
  received_ = false;
  buffered_ = 0;
  ResponseParser& parser = plan.on_body ? stream_parser_ : parser_;
  const auto failed = [&](Error error) {
    const bool cut = error.code == ErrorCode::unavailable;
    return Attempt{fail(std::move(error)), cut && !received_};
  };
  if (transport_ == nullptr) {
    auto connected = dialer_.connect(patience.deadline());
    if (!connected) return {fail(connected.error()), false};
    transport_ = std::move(*connected);
  }
  auto whole = sendRequest(head, request, plan, patience);
  if (!whole) return failed(whole.error());
  if (auto status = receive(parser, request.method == "HEAD", patience, plan); !status)
    return failed(status.error());
  if (!*whole || !parser.keepAlive() || buffered_ > 0) transport_.reset();
  return {std::move(parser.response()), false};
}

bool ClientImpl::connectionIsDead() const {
  // An idle connection has nothing to read; an end or unasked data (TLS session tickets aside) makes it
  // unusable.
  char byte = 0;
  if (dialer_.endpoint().kind == Endpoint::Kind::tls) {
    const IoStep step = transport_->read(&byte, 1);
    return step.kind != IoStep::Kind::want_read && step.kind != IoStep::Kind::want_write;
  }
  const ssize_t count = ::recv(transport_->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 || (errno != EAGAIN && errno != EINTR);
}

// ---- sending: each returns true when all was sent, false when the server began to answer before that, which
// it does to refuse a request.

Result<bool> ClientImpl::sendRequest(std::string_view head, const Request& request, const Plan& plan,
                                     Patience& patience) {
  if (request.body.size() + head.size() <= kOneWrite && plan.body.empty() && !request.body.empty()) {
    return sendPiece(strCat({head, request.body}), plan, patience);
  }
  BUOY_TRY(bool whole, sendPiece(head, plan, patience));
  if (!whole) return false;
  BUOY_TRY(whole, sendPiece(request.body, plan, patience));
  for (const BodyPiece& piece : plan.body) {
    if (!whole) return false;
    BUOY_TRY(whole, piece.fd < 0 ? sendPiece(piece.memory, plan, patience) : sendFile(piece, plan, patience));
  }
  return whole;
}

Result<bool> ClientImpl::sendPiece(std::string_view data, const Plan& plan, Patience& patience) {
  while (!data.empty()) {
    IoStep step = transport_->write(data.substr(0, kSendStep));
    switch (step.kind) {
      case IoStep::Kind::done:
        data.remove_prefix(step.bytes);
        if (plan.on_moved) plan.on_moved(step.bytes);
        patience.progress();
        break;
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(dialer_.wait(transport_->fd(), POLLIN, patience.deadline()));
        break;
      case IoStep::Kind::want_write: {
        BUOY_TRY(const bool writable, waitToSend(patience));
        if (!writable) return false;
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

Result<bool> ClientImpl::sendFile(const BodyPiece& piece, const Plan& plan, Patience& patience) {
  std::uint64_t sent = 0;
  while (sent < piece.size) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kSendStep, piece.size - sent));
    IoStep step = transport_->sendFile(piece.fd, piece.offset + sent, size);
    switch (step.kind) {
      case IoStep::Kind::done:
        sent += step.bytes;
        if (plan.on_moved) plan.on_moved(step.bytes);
        patience.progress();
        break;
      case IoStep::Kind::want_read:
      case IoStep::Kind::want_write: {
        BUOY_TRY(const bool writable, waitToSend(patience));
        if (!writable) return false;
        break;
      }
      case IoStep::Kind::eof:
        return fail(ErrorCode::failed_precondition, "the file became shorter while it was sent");
      case IoStep::Kind::failed:
        if (step.error.code != ErrorCode::invalid_argument) return false;
        return sendFileByCopy(piece, sent, plan, patience);
    }
  }
  return true;
}

Result<bool> ClientImpl::sendFileByCopy(const BodyPiece& piece, std::uint64_t from, const Plan& plan,
                                        Patience& patience) {
  std::vector<char> copy(static_cast<std::size_t>(std::min<std::uint64_t>(kLargeRead, piece.size - from)));
  while (from < piece.size) {
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(copy.size(), piece.size - from));
    const ssize_t count = ::pread(piece.fd, copy.data(), wanted, static_cast<off_t>(piece.offset + from));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failErrno(errno, "read the file that is sent");
    if (count == 0) return fail(ErrorCode::failed_precondition, "the file became shorter while it was sent");
    BUOY_TRY(const bool whole, sendPiece({copy.data(), static_cast<std::size_t>(count)}, plan, patience));
    if (!whole) return false;
    from += static_cast<std::uint64_t>(count);
  }
  return true;
}

Result<bool> ClientImpl::waitToSend(Patience& patience) {
  BUOY_TRY(const short events, dialer_.wait(transport_->fd(), POLLIN | POLLOUT, patience.deadline()));
  if ((events & POLLOUT) != 0) return true;
  if (dialer_.endpoint().kind != Endpoint::Kind::tls) return false;
  BUOY_TRY_VOID(dialer_.wait(transport_->fd(), POLLOUT, patience.deadline()));
  return true;
}

// ---- receiving

// 0: the connection ended.
Result<std::size_t> ClientImpl::readInto(std::span<char> space, Patience& patience) {
  for (;;) {
    IoStep step = transport_->read(space.data(), space.size());
    switch (step.kind) {
      case IoStep::Kind::done:
        patience.progress();
        received_ = true;
        return step.bytes;
      case IoStep::Kind::want_read:
        BUOY_TRY_VOID(dialer_.wait(transport_->fd(), POLLIN, patience.deadline()));
        break;
      case IoStep::Kind::want_write:
        BUOY_TRY_VOID(dialer_.wait(transport_->fd(), POLLOUT, patience.deadline()));
        break;
      case IoStep::Kind::eof:
        return std::size_t{0};
      case IoStep::Kind::failed:
        return fail(step.error.wrap(name()));
    }
  }
}

Result<std::size_t> ClientImpl::readSome(Patience& patience) {
  if (buffer_.size() < buffered_ + kReadSize) buffer_.resize(buffered_ + kReadSize);
  return readInto(std::span(buffer_).subspan(buffered_), patience);
}

Status ClientImpl::receive(ResponseParser& parser, bool to_head_request, Patience& patience,
                           const Plan& plan) {
  parser.reset(to_head_request);
  bool announced = false;
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
    const bool to_caller = plan.on_body && parser.headerDone() && response.status / 100 == 2;
    if (to_caller && plan.on_header && !announced) {
      BUOY_TRY_VOID(plan.on_header(response));
      announced = true;
    }
    if (to_caller && !response.body.empty()) {
      if (plan.on_moved) plan.on_moved(response.body.size());
      BUOY_TRY_VOID(plan.on_body(response.body));
      response.body.clear();
      patience.progress();  // the callback's own time is no silence of the server
    }
    if (plan.on_body && response.body.size() > max_response_) {
      return fail(ErrorCode::internal, strCat({"the error answer of ", name(), " is too long"}));
    }
    if (parser.done()) return {};
    if (parser.failed() && count == 0) return failUnavailable(strCat({name(), ": ", parser.errorMessage()}));
    if (parser.failed()) {
      return fail(ErrorCode::internal,
                  strCat({"the answer of ", name(), " is not understood: ", parser.errorMessage()}));
    }
    if (dialer_.cancelled()) return fail(ErrorCode::cancelled, "the request was cancelled");
    if (to_caller && buffered_ == 0 && parser.remaining().value_or(0) > kReadSize) {
      return receivePastParser(*parser.remaining(), patience, plan);
    }
  }
}

// What is left of a body whose length is known needs no parsing.
Status ClientImpl::receivePastParser(std::uint64_t size, Patience& patience, const Plan& plan) {
  std::vector<char> space(static_cast<std::size_t>(std::min<std::uint64_t>(kLargeRead, size)));
  while (size > 0) {
    std::size_t filled = 0;
    // The receiver works on whole buffers: small pieces would cost it a system call each.
    while (filled < space.size() && filled < size) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(space.size(), size)) - filled;
      BUOY_TRY(const std::size_t count, readInto(std::span(space).subspan(filled, wanted), patience));
      if (count == 0) return failUnavailable(name() + ": the connection ended in the middle of the answer");
      filled += count;
    }
    if (plan.on_moved) plan.on_moved(filled);
    BUOY_TRY_VOID(plan.on_body({space.data(), filled}));
    patience.progress();
    size -= filled;
    if (dialer_.cancelled()) return fail(ErrorCode::cancelled, "the request was cancelled");
  }
  return {};
}

}  // namespace

std::unique_ptr<Client> makeClient(Endpoint endpoint, ClientOptions options) {
  return std::make_unique<ClientImpl>(std::move(endpoint), std::move(options));
}

}  // namespace buoy::net
