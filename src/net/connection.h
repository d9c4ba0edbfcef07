#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/http.h"
#include "net/mailbox.h"
#include "net/message_parser.h"
#include "net/output_queue.h"

namespace buoy::net {

// What the connections of one I/O thread share. Outlives them.
struct ConnectionContext {
  const ServerOptions& options;
  const Handler& handler;
  std::shared_ptr<Mailbox> mailbox;
  std::function<void(std::function<void()>)>
      defer;                                // runs it soon, on the same thread, outside of all calls here
  std::function<void(Connection&)> closed;  // drops the owner's reference
};

// Received bytes that are not parsed yet.
class InputBuffer {
 public:
  std::string_view view() const { return {data_.data() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  // Space to read into; stays valid until commit().
  std::span<char> prepare();
  void commit(std::size_t bytes);
  void consume(std::size_t bytes);

 private:
  std::vector<char> data_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t chunk_ = 8u << 10;  // how much to read at once; grows while reads fill it
};

// The server's side of one connection: parses requests, one at a time and in order, gives them to the
// handler, and writes the answers. The bytes come and go through a subclass. All of it runs on one I/O
// thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Connection(ConnectionContext& context, bool over_unix_socket, bool needs_handshake);
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void close();
  void onTick(TimePoint now);
  static void deliver(ConnectionContext& context, Command command);

  std::size_t index = 0;  // the owner's, in its list

 protected:
  // Each of the first three ends in exactly one call of its counterpart, later.
  virtual void startHandshake() = 0;
  virtual void startRead(std::span<char> space) = 0;
  virtual void startWrite(std::span<const std::string_view> pieces) = 0;
  virtual void shutdownSend() = 0;
  virtual void closeSocket() = 0;

  void onHandshake(bool succeeded);
  void onRead(std::size_t bytes);  // 0: end or error
  void onWritten(std::size_t bytes, bool succeeded);

 private:
  enum class Phase {
    handshake,
    open,
    lingering,  // all is said; reads on for a moment, because closing with unread data would discard the
                // answer
    closed,
  };
  // The request that the handler has and that is not answered yet.
  struct Exchange {
    bool active = false;
    bool http10 = false;
    bool keep_alive = true;
    bool is_head = false;
    std::shared_ptr<StreamState> stream;  // after begin
    std::size_t bytes_before_stream = 0;  // of the output: they belong to earlier answers
    std::function<void()> on_closed;
    std::function<void()> on_writable;
  };

  void execute(Command command);
  static void discard(ConnectionContext& context, Command command);
  void respond(Response response);
  void beginStream(const Response& head, std::shared_ptr<StreamState> stream);
  void endExchange();

  void advance();
  bool canParse() const;
  bool parseSome();
  bool admit();
  void beginExchange();
  void nextRequest();
  void dispatch();
  void refuse(int status, std::string_view message);
  void appendHead(const Response& response, std::size_t length, bool streaming);
  void flush();
  void listen();
  void accountStream(std::size_t written);
  void closeAfterAnswer();
  void onReadDeadline();

  static constexpr TimePoint kNever = TimePoint::max();

  ConnectionContext& context_;
  const bool over_unix_socket_;
  Phase phase_;
  RequestParser parser_;
  InputBuffer input_;
  OutputQueue output_;
  Exchange exchange_;
  std::uint64_t exchange_number_ = 0;
  bool advancing_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool admitted_ = false;  // the request that is being read
  bool continue_sent_ = false;
  bool close_after_flush_ = false;
  bool linger_ = false;
  TimePoint read_deadline_ = kNever;
  TimePoint write_deadline_ = kNever;
  TimePoint body_started_ = kNever;
};

}  // namespace buoy::net
