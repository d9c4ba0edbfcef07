#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "net/http.h"
#include "net/sockets.h"
#include "os/files.h"

// For the tests of net.
namespace buoy::net {

inline constexpr Duration kLongEnough =
    std::chrono::seconds{30};  // a deadline, never waited for when all is well

// A flag that one thread raises and another waits for.
class Signal {
 public:
  void raise() {
    std::lock_guard guard(mutex_);
    ++count_;
    condition_.notify_all();
  }
  [[nodiscard]] bool wait(int count = 1) {
    std::unique_lock lock(mutex_);
    return condition_.wait_for(lock, kLongEnough, [&] { return count_ >= count; });
  }
  int count() {
    std::lock_guard guard(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  int count_ = 0;
};

// A value that one thread gives and another waits for.
template <class T>
class Handoff {
 public:
  void put(T value) {
    std::lock_guard guard(mutex_);
    value_ = std::move(value);
    there_ = true;
    condition_.notify_all();
  }
  T take() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(condition_.wait_for(lock, kLongEnough, [&] { return there_; }));
    there_ = false;
    return std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  T value_ = {};
  bool there_ = false;
};

// A server on a Unix socket in its own directory.
class TestServer {
 public:
  explicit TestServer(Handler handler, ServerOptions options = {})
      : directory_(os::TempDir::create("buoy-net").value()),
        server_(makeServer(options, std::move(handler))) {
    const Status status = server_->listenUnix(path());
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
  }
  std::string path() const { return directory_.path() + "/s.sock"; }
  Endpoint endpoint() const { return {Endpoint::Kind::unix_socket, path(), "", 0}; }
  std::unique_ptr<Client> client() const { return makeClient(endpoint(), {}); }
  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  void stop() { server_.reset(); }

 private:
  os::TempDir directory_;
  std::unique_ptr<Server> server_;
};

// Bytes to and from a server, as they are.
class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    auto address = UnixAddress::create(path);
    fd_ = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd_.get(), address->address().get(), address->address().size), 0);
  }
  bool send(std::string_view text) {
    return ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Reads until `text` came (true), or the end of the connection or the deadline (false).
  bool readUntil(std::string_view text) {
    while (received_.find(text) == std::string::npos) {
      if (!readSome()) return false;
    }
    return true;
  }
  // Everything until the server closes.
  std::string readAll() {
    while (readSome()) {
    }
    return received_;
  }
  const std::string& received() const { return received_; }
  bool sawEnd() const { return ended_; }
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  bool readSome() {
    pollfd waiting = {fd_.get(), POLLIN, 0};
    const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(kLongEnough).count();
    if (::poll(&waiting, 1, static_cast<int>(timeout)) != 1) return false;
    char buffer[4096];
    const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    ended_ = count <= 0;
    if (count > 0) received_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }

  os::Fd fd_;
  std::string received_;
  bool ended_ = false;
};

inline Request makeRequest(std::string method, std::string target, std::string body = {}) {
  Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  return request;
}

inline Response textResponse(std::string body, int status = 200) {
  Response response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

// Answers at once with the method, path and body.
inline void echo(Request request, std::shared_ptr<Responder> responder) {
  responder->send(textResponse(request.method + " " + request.path + " " + request.body));
}

inline std::size_t countOf(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

}  // namespace buoy::net
