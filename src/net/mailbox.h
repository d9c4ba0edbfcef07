#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/http.h"

namespace buoy::net {

class Connection;

// What a streaming Responder and its connection both see.
struct StreamState {
  std::atomic<bool> closed = false;
  std::atomic<std::size_t> unsent = 0;  // bytes written by the Responder that the socket has not taken
};

// What a Responder wants of its connection.
struct Command {
  enum class Kind { respond, begin, chunk, end, on_closed, on_writable, abandon, overflow } kind;
  std::weak_ptr<Connection> connection;
  std::uint64_t exchange = 0;           // the connection's number of the request; a stale one is ignored
  Response response = {};               // respond; begin: status and content type
  std::string data = {};                // chunk, framed
  std::function<void()> callback = {};  // on_closed, on_writable
  std::shared_ptr<StreamState> stream = {};
};

// Brings commands from any thread to one I/O thread, many in one wake-up.
class Mailbox {
 public:
  // `wake` makes the I/O thread call take() soon; it is called under the mailbox's lock, so that none comes
  // after close().
  explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  void post(Command command) {
    std::lock_guard guard(mutex_);
    if (!open_) return;
    commands_.push_back(std::move(command));
    if (commands_.size() == 1) wake_();
  }
  std::vector<Command> take() {
    std::vector<Command> taken;
    std::lock_guard guard(mutex_);
    taken.swap(commands_);
    return taken;
  }
  void close() {
    std::vector<Command> dropped;
    std::lock_guard guard(mutex_);
    open_ = false;
    owner_ = std::thread::id{};
    dropped.swap(commands_);
  }

  // Set by the I/O thread before its first request; nobody owns a closed mailbox.
  void setOwner(std::thread::id owner) { owner_ = owner; }
  bool isOwnThread() const { return std::this_thread::get_id() == owner_; }

 private:
  std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<Command> commands_;
  bool open_ = true;
  std::atomic<std::thread::id> owner_ = {};
};

}  // namespace buoy::net
