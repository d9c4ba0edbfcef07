#include <utility>  // before Asio 1.74, which needs it and does not include it

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/strings.h"
#include "base/synchronized.h"
#include "net/connection.h"
#include "net/http.h"
#include "net/sockets.h"
#include "net/wire.h"
#include "os/log.h"

namespace buoy::net {

namespace {

namespace asio = boost::asio;
using AsioError = boost::system::error_code;
using Socket = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<Socket>;

// Accepted in one go before other work of the thread gets its turn.
constexpr int kAcceptBatch = 64;
constexpr auto kAcceptPause = std::chrono::milliseconds{100};
constexpr auto kMaxTick = std::chrono::milliseconds{500};
constexpr auto kMinTick = std::chrono::milliseconds{5};

// At most kMaxPieces of the connection; Asio wants a sequence that is cheap to copy.
class WriteBuffers {
 public:
  explicit WriteBuffers(std::span<const std::string_view> pieces) : count_(pieces.size()) {
    BUOY_CHECK(count_ <= buffers_.size());
    for (std::size_t i = 0; i < count_; ++i)
      buffers_[i] = asio::const_buffer(pieces[i].data(), pieces[i].size());
  }
  const asio::const_buffer* begin() const { return buffers_.data(); }
  const asio::const_buffer* end() const { return buffers_.data() + count_; }

 private:
  std::array<asio::const_buffer, 16> buffers_;
  std::size_t count_;
};

// A Connection's bytes over Stream: Socket or TlsStream.
template <class Stream>
class StreamConnection final : public Connection {
 public:
  template <class... Args>
  StreamConnection(ConnectionContext& context, bool over_unix_socket, Args&&... stream)
      : Connection(context, over_unix_socket, kIsTls), stream_(std::forward<Args>(stream)...) {}

 private:
  static constexpr bool kIsTls = std::is_same_v<Stream, TlsStream>;

  std::shared_ptr<StreamConnection> self() {
    return std::static_pointer_cast<StreamConnection>(shared_from_this());
  }

  void startHandshake() override {
    if constexpr (kIsTls) {
      stream_.async_handshake(TlsStream::server,
                              [self = self()](AsioError error) { self->onHandshake(!error); });
    }
  }
  void startRead(std::span<char> space) override {
    stream_.async_read_some(
        asio::buffer(space.data(), space.size()),
        [self = self()](AsioError error, std::size_t bytes) { self->onRead(error ? 0 : bytes); });
  }
  void startWrite(std::span<const std::string_view> pieces) override {
    stream_.async_write_some(WriteBuffers(pieces), [self = self()](AsioError error, std::size_t bytes) {
      self->onWritten(bytes, !error);
    });
  }
  void shutdownSend() override { ::shutdown(stream_.lowest_layer().native_handle(), SHUT_WR); }
  void closeSocket() override {
    AsioError ignored;
    stream_.lowest_layer().close(ignored);
  }

  Stream stream_;
};

// A quiet stream or long poll must not outlive its client's machine by more than two minutes.
void noticeDeadPeer(int fd) {
  const int on = 1;
  const int idle_seconds = 60;
  const int interval_seconds = 15;
  const int probes = 4;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof interval_seconds);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// Where accepted connections come from.
struct Listener {
  asio::posix::stream_descriptor descriptor;
  asio::steady_timer pause;
  int family = AF_UNIX;
  std::shared_ptr<asio::ssl::context> tls;  // null: plain
};

// One I/O thread and its connections.
class Worker {
 public:
  Worker(const ServerOptions& options, const Handler& handler, std::atomic<int>& connection_count)
      : options_(options),
        connection_count_(connection_count),
        guard_(io_.get_executor()),
        timer_(io_),
        context_{options, handler,
                 std::make_shared<Mailbox>([this] { asio::post(io_, [this] { readMail(); }); }),
                 [this](std::function<void()> call) { asio::post(io_, std::move(call)); },
                 [this](Connection& connection) { remove(connection); }} {
    thread_ = std::jthread([this] { run(); });
  }

  ~Worker() { shutDown(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Cuts all connections and waits for the thread, which first runs what is deferred.
  void shutDown() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { stop(); });
    thread_.join();
    context_.mailbox->close();
  }

  // Any thread. `place` gives each accepted connection to a worker.
  using Place = std::function<void(os::Fd, const Listener&)>;
  void addListener(os::Fd fd, int family, std::shared_ptr<asio::ssl::context> tls, Place place) {
    asio::post(io_, [this, fd = std::make_shared<os::Fd>(std::move(fd)), family, tls = std::move(tls),
                     place = std::move(place)] {
      if (stopping_) return;
      listeners_.push_back(std::make_unique<Listener>(Listener{
          asio::posix::stream_descriptor(io_, fd->release()), asio::steady_timer(io_), family, tls}));
      accept(*listeners_.back(), place);
    });
  }

  // Any thread. The connection is already counted.
  void adopt(os::Fd fd, int family, std::shared_ptr<asio::ssl::context> tls) {
    asio::post(io_, [this, fd = std::make_shared<os::Fd>(std::move(fd)), family, tls = std::move(tls)] {
      if (stopping_) {
        --connection_count_;
      } else {
        add(std::move(*fd), family, tls);
      }
    });
  }

 private:
  void run() {
    ::pthread_setname_np(::pthread_self(), "buoy-http");
    context_.mailbox->setOwner(std::this_thread::get_id());
    io_.run();
  }

  void stop() {
    stopping_ = true;
    for (const auto& listener : listeners_) {
      AsioError ignored;
      listener->descriptor.close(ignored);
      listener->pause.cancel();
    }
    while (!connections_.empty()) std::shared_ptr(connections_.back())->close();
    timer_.cancel();
    guard_.reset();
  }

  void readMail() {
    for (Command& command : context_.mailbox->take()) Connection::deliver(context_, std::move(command));
  }

  void accept(Listener& listener, const Place& place) {
    listener.descriptor.async_wait(asio::posix::descriptor_base::wait_read,
                                   [this, &listener, place](AsioError error) {
                                     if (error || stopping_) return;
                                     for (int i = 0; i < kAcceptBatch; ++i) {
                                       os::Fd fd(::accept4(listener.descriptor.native_handle(), nullptr,
                                                           nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
                                       if (!fd && (errno == EINTR || errno == ECONNABORTED)) continue;
                                       if (!fd && errno != EAGAIN && errno != EWOULDBLOCK)
                                         return pauseAccepting(listener, place, errno);
                                       if (!fd) break;
                                       place(std::move(fd), listener);
                                     }
                                     accept(listener, place);
                                   });
  }

  // Out of descriptors or memory: those that wait keep waiting in the backlog.
  void pauseAccepting(Listener& listener, const Place& place, int error) {
    os::log(os::LogLevel::warn, "http_accept_failed",
            {{"error", failErrno(error, "accept").value().message}});
    listener.pause.expires_after(kAcceptPause);
    listener.pause.async_wait([this, &listener, place](AsioError wait_error) {
      if (!wait_error && !stopping_) accept(listener, place);
    });
  }

  void add(os::Fd fd, int family, const std::shared_ptr<asio::ssl::context>& tls) {
    const bool is_unix = family == AF_UNIX;
    if (!is_unix) {
      const int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      noticeDeadPeer(fd.get());
    }
    AsioError error;
    Socket socket(io_);
    socket.assign(asio::generic::stream_protocol(family, is_unix ? 0 : IPPROTO_TCP), fd.get(), error);
    if (error) {
      --connection_count_;
      return;
    }
    fd.release();
    std::shared_ptr<Connection> connection;
    if (tls == nullptr) {
      connection = std::make_shared<StreamConnection<Socket>>(context_, is_unix, std::move(socket));
    } else {
      connection = std::make_shared<StreamConnection<TlsStream>>(context_, is_unix, std::move(socket), *tls);
    }
    connection->index = connections_.size();
    connections_.push_back(connection);
    if (connections_.size() == 1) armTimer();
    connection->start();
  }

  void remove(Connection& connection) {
    const std::size_t index = connection.index;
    std::swap(connections_[index], connections_.back());
    connections_[index]->index = index;
    connections_.pop_back();
    --connection_count_;
    if (connections_.empty()) timer_.cancel();
  }

  // One timer for all deadlines: they are long, and being late by a tick does no harm.
  void armTimer() {
    const auto tick = std::chrono::duration_cast<std::chrono::milliseconds>(options_.idle_timeout / 4);
    timer_.expires_after(std::clamp(tick, kMinTick, kMaxTick));
    timer_.async_wait([this](AsioError error) {
      if (error) return;
      const auto now = std::chrono::steady_clock::now();
      const auto connections = connections_;  // a deadline removes its connection
      for (const auto& connection : connections) connection->onTick(now);
      if (!connections_.empty()) armTimer();
    });
  }

  const ServerOptions& options_;
  std::atomic<int>& connection_count_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  asio::steady_timer timer_;
  ConnectionContext context_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool stopping_ = false;
  std::jthread thread_;
};

// Threads started while this lives leave signals to those that were there before.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t previous_;
};

Result<std::shared_ptr<asio::ssl::context>> loadTls(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  AsioError error;
  context->use_certificate_chain_file(files.certificate, error);
  if (error) {
    return fail(ErrorCode::invalid_argument,
                strCat({"cannot use the certificate in ", files.certificate, ": ", error.message()}));
  }
  context->use_private_key_file(files.key, asio::ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return fail(ErrorCode::invalid_argument,
                strCat({"cannot use the key in ", files.key, ": ",
                        error ? error.message() : "it does not belong to the certificate"}));
  }
  return context;
}

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Handler handler)
      : options_(std::move(options)), handler_(std::move(handler)) {
    const SignalsBlocked blocked;
    for (int i = 0; i < std::max(1, options_.threads); ++i) {
      workers_.push_back(std::make_unique<Worker>(options_, handler_, connection_count_));
    }
  }

  ~ServerImpl() override {
    unix_sockets_.withLock([](auto& sockets) {
      for (const auto& [path, listener] : sockets) removeUnixSocket(path, listener);
    });
    // The first accepts for all; once it has stopped, nothing is placed on the others.
    for (const auto& worker : workers_) worker->shutDown();
  }

  Status listenUnix(const std::string& path) override {
    BUOY_TRY(auto listener, listenOnUnixSocket(path));
    os::Fd fd = std::move(listener.fd);
    unix_sockets_.withLock([&](auto& sockets) { sockets.emplace_back(path, std::move(listener)); });
    addListener(std::move(fd), AF_UNIX, nullptr);
    return {};
  }

  Result<std::uint16_t> listenTcp(const std::string& host, std::uint16_t port,
                                  std::optional<TlsFiles> tls) override {
    std::shared_ptr<asio::ssl::context> context;
    if (tls) {
      BUOY_TRY(context, loadTls(*tls));
    }
    BUOY_TRY(auto listener, listenOnTcp(host, port));
    addListener(std::move(listener.fd), listener.family, std::move(context));
    return listener.port;
  }

 private:
  void addListener(os::Fd fd, int family, std::shared_ptr<asio::ssl::context> tls) {
    workers_.front()->addListener(
        std::move(fd), family, std::move(tls), [this](os::Fd accepted, const Listener& from) {
          if (connection_count_ >= options_.max_connections) return turnAway(accepted, from);
          ++connection_count_;
          workers_[next_worker_++ % workers_.size()]->adopt(std::move(accepted), from.family, from.tls);
        });
  }

  static void turnAway(const os::Fd& fd, const Listener& from) {
    if (from.tls != nullptr) return;
    Response response;
    response.status = 503;
    response.body = R"({"error":{"code":"unavailable","message":"too many connections"}})";
    response.headers.emplace_back("Retry-After", "1");
    std::string text;
    HeadOptions head;
    head.keep_alive = false;
    head.length = response.body.size();
    appendResponseHead(text, response, head);
    text += response.body;
    [[maybe_unused]] const auto sent =
        ::send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  const ServerOptions options_;
  const Handler handler_;
  std::atomic<int> connection_count_ = 0;
  std::size_t next_worker_ = 0;  // only on the accepting thread
  Synchronized<std::vector<std::pair<std::string, UnixListener>>> unix_sockets_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

std::unique_ptr<Server> makeServer(ServerOptions options, Handler handler) {
  return std::make_unique<ServerImpl>(std::move(options), std::move(handler));
}

}  // namespace buoy::net
