#include "net/connection.h"

#include <algorithm>
#include <exception>

#include "base/strings.h"
#include "net/wire.h"
#include "os/log.h"

namespace buoy::net {

namespace {

using std::chrono::steady_clock;

constexpr std::size_t kMaxUnsent = 4u << 20;         // of a stream: the header promises it
constexpr std::size_t kWritableBelow = 1u << 20;     // likewise
constexpr std::size_t kMaxPipelined = 64u << 10;     // read ahead while a request is being answered
constexpr std::size_t kMaxUnsentAnswers = 1u << 20;  // no further pipelined request is begun above it
constexpr std::size_t kMaxReadChunk = 256u << 10;
constexpr std::size_t kKeptInput = 64u << 10;
constexpr auto kLinger = std::chrono::seconds{2};
constexpr auto kHandshakeTimeout = std::chrono::seconds{10};
// A body slower than this is cut off, however steadily it trickles.
constexpr std::size_t kMinBodyBytesPerSecond = 4096;
constexpr std::size_t kMaxPieces = 16;

std::string_view codeFor(int status) {
  switch (status) {
    case 408:
      return "deadline_exceeded";
    case 500:
      return "internal";
    default:
      return "invalid_argument";
  }
}

// `message` must need no JSON escapes; those of this module and of Beast do not.
Response errorResponse(int status, std::string_view message) {
  Response response;
  response.status = status;
  response.body = strCat({R"({"error":{"code":")", codeFor(status), R"(","message":")", message, R"("}})"});
  return response;
}

class ResponderImpl final : public Responder {
 public:
  ResponderImpl(std::shared_ptr<Mailbox> mailbox, ConnectionContext& context,
                std::weak_ptr<Connection> connection, std::uint64_t exchange, bool chunked, bool is_head)
      : mailbox_(std::move(mailbox)),
        context_(context),
        connection_(std::move(connection)),
        exchange_(exchange),
        chunked_(chunked),
        is_head_(is_head) {}

  ~ResponderImpl() override {
    if (!done_) submit(command(Command::Kind::abandon));
  }

  void send(Response response) override {
    BUOY_CHECK(!done_ && stream_ == nullptr);
    done_ = true;
    Command answer = command(Command::Kind::respond);
    answer.response = std::move(response);
    submit(std::move(answer));
  }

  void begin(int status, std::string content_type) override {
    BUOY_CHECK(!done_ && stream_ == nullptr);
    stream_ = std::make_shared<StreamState>();
    Command head = command(Command::Kind::begin);
    head.response.status = status;
    head.response.content_type = std::move(content_type);
    submit(std::move(head));
  }

  bool write(std::string chunk) override {
    BUOY_CHECK(stream_ != nullptr && !done_);
    if (stream_->closed) return false;
    if (chunk.empty() || is_head_) return true;
    Command piece = command(Command::Kind::chunk);
    if (chunked_) {
      piece.data.reserve(chunk.size() + 16);
      appendChunk(piece.data, chunk);
    } else {
      piece.data = std::move(chunk);
    }
    if (stream_->unsent.fetch_add(piece.data.size()) + piece.data.size() > kMaxUnsent) {
      stream_->closed = true;
      submit(command(Command::Kind::overflow));
      return false;
    }
    submit(std::move(piece));
    return !stream_->closed;
  }

  void end() override {
    BUOY_CHECK(stream_ != nullptr && !done_);
    done_ = true;
    submit(command(Command::Kind::end));
  }

  void onClosed(std::function<void()> callback) override {
    if (done_) return;
    Command request = command(Command::Kind::on_closed);
    request.callback = std::move(callback);
    submit(std::move(request));
  }

  void onWritable(std::function<void()> callback) override {
    BUOY_CHECK(stream_ != nullptr && !done_);
    Command request = command(Command::Kind::on_writable);
    request.callback = std::move(callback);
    submit(std::move(request));
  }

 private:
  Command command(Command::Kind kind) const {
    Command made{kind, connection_, exchange_};
    made.stream = stream_;
    return made;
  }

  // Straight to the connection from its own thread (no wake-up; the usual way of a handler that answers at
  // once), but never overtaking what went through the mailbox before. The context lives as long as that
  // thread owns the mailbox.
  void submit(Command made) {
    if (!posted_ && mailbox_->isOwnThread()) {
      Connection::deliver(context_, std::move(made));
    } else {
      posted_ = true;
      mailbox_->post(std::move(made));
    }
  }

  std::shared_ptr<Mailbox> mailbox_;
  ConnectionContext& context_;
  std::weak_ptr<Connection> connection_;
  std::uint64_t exchange_;
  bool chunked_;
  bool is_head_;
  bool done_ = false;
  bool posted_ = false;
  std::shared_ptr<StreamState> stream_;
};

}  // namespace

std::span<char> InputBuffer::prepare() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (data_.size() > kKeptInput && chunk_ <= kKeptInput) data_ = {};
  } else if (begin_ > 0) {
    std::copy(data_.begin() + static_cast<std::ptrdiff_t>(begin_),
              data_.begin() + static_cast<std::ptrdiff_t>(end_), data_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (data_.size() < end_ + chunk_) data_.resize(end_ + chunk_);
  return {data_.data() + end_, data_.size() - end_};
}

void InputBuffer::commit(std::size_t bytes) {
  if (bytes >= chunk_ && chunk_ < kMaxReadChunk) {
    chunk_ *= 2;
  } else if (bytes < chunk_ / 8 && chunk_ > (8u << 10)) {
    chunk_ /= 2;
  }
  end_ += bytes;
}

void InputBuffer::consume(std::size_t bytes) {
  begin_ += bytes;
}

Connection::Connection(ConnectionContext& context, bool over_unix_socket, bool needs_handshake)
    : context_(context),
      over_unix_socket_(over_unix_socket),
      phase_(needs_handshake ? Phase::handshake : Phase::open),
      parser_({context.options.max_header, context.options.max_body}) {}

void Connection::start() {
  const auto now = steady_clock::now();
  if (phase_ == Phase::handshake) {
    read_deadline_ = now + std::min<Duration>(context_.options.idle_timeout, kHandshakeTimeout);
    startHandshake();
  } else {
    read_deadline_ = now + context_.options.idle_timeout;
    listen();
  }
}

void Connection::onHandshake(bool succeeded) {
  if (phase_ == Phase::closed) return;
  if (!succeeded) return close();
  phase_ = Phase::open;
  read_deadline_ = steady_clock::now() + context_.options.idle_timeout;
  listen();
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  read_deadline_ = write_deadline_ = kNever;
  closeSocket();
  if (exchange_.active) {
    if (exchange_.stream != nullptr) exchange_.stream->closed = true;
    for (auto* callback : {&exchange_.on_closed, &exchange_.on_writable}) {
      if (*callback) context_.defer(std::move(*callback));
    }
    exchange_ = {};
  }
  ++exchange_number_;
  context_.closed(*this);
}

void Connection::onTick(TimePoint now) {
  if (now >= write_deadline_) return close();
  if (now >= read_deadline_) onReadDeadline();
}

void Connection::onReadDeadline() {
  if (phase_ != Phase::open || !parser_.started() || close_after_flush_) return close();
  read_deadline_ = kNever;
  refuse(408, "the request did not come in time");
  advance();
}

void Connection::deliver(ConnectionContext& context, Command command) {
  if (const auto connection = command.connection.lock()) {
    connection->execute(std::move(command));
  } else {
    discard(context, std::move(command));
  }
}

// For a request whose connection is gone.
void Connection::discard(ConnectionContext& context, Command command) {
  if (command.stream != nullptr) command.stream->closed = true;
  if (command.callback) context.defer(std::move(command.callback));
}

void Connection::execute(Command command) {
  if (!exchange_.active || command.exchange != exchange_number_) return discard(context_, std::move(command));
  switch (command.kind) {
    case Command::Kind::respond:
      respond(std::move(command.response));
      break;
    case Command::Kind::begin:
      beginStream(command.response, std::move(command.stream));
      break;
    case Command::Kind::chunk:
      output_.take(std::move(command.data));
      break;
    case Command::Kind::end:
      if (!exchange_.http10 && !exchange_.is_head) output_.append(kLastChunk);
      endExchange();
      break;
    case Command::Kind::on_closed:
      exchange_.on_closed = std::move(command.callback);
      return;
    case Command::Kind::on_writable:
      exchange_.on_writable = std::move(command.callback);
      accountStream(0);
      return;
    case Command::Kind::abandon:
      if (exchange_.stream != nullptr) return close();
      respond(errorResponse(500, "the request was not answered"));
      break;
    case Command::Kind::overflow:
      return close();
  }
  advance();
}

void Connection::appendHead(const Response& response, std::size_t length, bool streaming) {
  HeadOptions options;
  options.http10 = exchange_.http10;
  options.keep_alive = exchange_.keep_alive;
  options.length = length;
  if (streaming) options.framing = exchange_.http10 ? Framing::until_close : Framing::chunked;
  std::string& tail = output_.tail();
  const std::size_t before = tail.size();
  appendResponseHead(tail, response, options);
  output_.appended(tail.size() - before);
}

void Connection::respond(Response response) {
  appendHead(response, response.body.size(), false);
  if (!exchange_.is_head && statusHasBody(response.status)) output_.take(std::move(response.body));
  endExchange();
}

void Connection::beginStream(const Response& head, std::shared_ptr<StreamState> stream) {
  exchange_.stream = std::move(stream);
  exchange_.bytes_before_stream = output_.size();
  if (exchange_.http10) exchange_.keep_alive = false;
  appendHead(head, 0, true);
  exchange_.bytes_before_stream = output_.size();
}

void Connection::endExchange() {
  if (!exchange_.keep_alive) close_after_flush_ = true;
  exchange_ = {};
  ++exchange_number_;
  read_deadline_ = steady_clock::now() + context_.options.idle_timeout;
}

// Does all that can be done now. Never reenters: a handler that answers at once comes back to the loop here.
void Connection::advance() {
  if (advancing_ || phase_ == Phase::closed) return;
  advancing_ = true;
  while (canParse() && parseSome()) {
  }
  advancing_ = false;
  flush();
  if (close_after_flush_ && output_.empty() && !writing_ && phase_ == Phase::open) closeAfterAnswer();
  listen();
}

bool Connection::canParse() const {
  return phase_ == Phase::open && !exchange_.active && !close_after_flush_ && !input_.empty() &&
         output_.size() < kMaxUnsentAnswers;
}

// False if more input is needed.
bool Connection::parseSome() {
  const auto now = steady_clock::now();
  if (!parser_.started()) read_deadline_ = now + context_.options.idle_timeout;
  const bool in_header = !parser_.headerDone();
  const std::size_t used = parser_.put(input_.view());
  input_.consume(used);
  if (parser_.failed()) {
    refuse(parser_.errorStatus(), parser_.errorMessage());
    return false;
  }
  if (parser_.headerDone() && !admit()) return true;
  if (parser_.done()) {
    dispatch();
    return true;
  }
  if (parser_.headerDone()) {
    if (in_header) body_started_ = now;
    const auto earned = std::chrono::seconds{parser_.request().body.size() / kMinBodyBytesPerSecond};
    read_deadline_ = std::min(now, body_started_ + earned) + context_.options.idle_timeout;
    if (parser_.expectsContinue() && !continue_sent_ && input_.empty()) {
      continue_sent_ = true;
      output_.append("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }
  return used > 0;
}

// False if the request was refused, which is answered then.
bool Connection::admit() {
  if (admitted_) return true;
  admitted_ = true;
  parser_.request().over_unix_socket = over_unix_socket_;
  if (!context_.options.admit) return true;
  auto refusal = context_.options.admit(parser_.request());
  if (!refusal) return true;
  const bool body_follows = !parser_.done();
  beginExchange();
  nextRequest();
  if (body_follows) {
    exchange_.keep_alive = false;
    linger_ = true;
  }
  respond(std::move(*refusal));
  return false;
}

void Connection::beginExchange() {
  exchange_.active = true;
  exchange_.http10 = parser_.isHttp10();
  exchange_.keep_alive = parser_.keepAlive();
  exchange_.is_head = parser_.request().method == "HEAD";
  read_deadline_ = kNever;
}

void Connection::nextRequest() {
  parser_.reset();
  admitted_ = false;
  continue_sent_ = false;
}

void Connection::dispatch() {
  beginExchange();
  Request request = std::move(parser_.request());
  nextRequest();
  auto responder = std::make_shared<ResponderImpl>(context_.mailbox, context_, weak_from_this(),
                                                   exchange_number_, !exchange_.http10, exchange_.is_head);
  try {
    context_.handler(std::move(request), std::move(responder));
  } catch (const std::exception& error) {
    os::log(os::LogLevel::error, "http_handler_threw", {{"what", error.what()}});
  }
}

void Connection::refuse(int status, std::string_view message) {
  exchange_.keep_alive = false;
  exchange_.http10 = false;
  linger_ = true;
  respond(errorResponse(status, message));
}

void Connection::flush() {
  if (writing_ || output_.empty() || phase_ == Phase::closed) return;
  std::array<std::string_view, kMaxPieces> pieces;
  const std::size_t count = output_.pieces(pieces);
  writing_ = true;
  write_deadline_ = steady_clock::now() + context_.options.idle_timeout;
  startWrite(std::span(pieces).first(count));
}

void Connection::onWritten(std::size_t bytes, bool succeeded) {
  writing_ = false;
  write_deadline_ = kNever;
  if (phase_ == Phase::closed) return;
  if (!succeeded) return close();
  output_.consume(bytes);
  accountStream(bytes);
  advance();
}

void Connection::accountStream(std::size_t written) {
  if (exchange_.stream == nullptr) return;
  const std::size_t earlier = std::min(written, exchange_.bytes_before_stream);
  exchange_.bytes_before_stream -= earlier;
  const std::size_t mine = written - earlier;
  const std::size_t left = exchange_.stream->unsent.fetch_sub(mine) - mine;
  if (left <= kWritableBelow && exchange_.on_writable) {
    context_.defer(std::exchange(exchange_.on_writable, nullptr));
  }
}

// Reads whenever there is room, also while a request is being answered: it is how a client's going away is
// noticed.
void Connection::listen() {
  if (reading_ || (phase_ != Phase::open && phase_ != Phase::lingering)) return;
  if (phase_ == Phase::open && (exchange_.active || output_.size() >= kMaxUnsentAnswers) &&
      input_.size() >= kMaxPipelined) {
    return;
  }
  reading_ = true;
  startRead(input_.prepare());
}

void Connection::onRead(std::size_t bytes) {
  reading_ = false;
  if (phase_ == Phase::closed) return;
  if (bytes == 0) return close();
  input_.commit(bytes);
  if (phase_ == Phase::lingering || close_after_flush_) {
    input_.consume(input_.size());
    return listen();
  }
  advance();
}

void Connection::closeAfterAnswer() {
  if (!linger_) return close();
  phase_ = Phase::lingering;
  input_.consume(input_.size());
  read_deadline_ = steady_clock::now() + std::min<Duration>(context_.options.idle_timeout, kLinger);
  shutdownSend();
}

}  // namespace buoy::net
