#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include "base/synchronized.h"
#include "net/http.h"
#include "net/sockets.h"
#include "os/files.h"

namespace buoy::net {

// For tests: a server that follows a script. For each connection in turn, what it answers to the first
// request; then it closes the connection, wherever that is in the answer.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers)
      : directory_(os::TempDir::create("buoy-net").value()), answers_(std::move(answers)) {
    const auto address = UnixAddress::create(path());
    listener_ = os::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), address->address().get(), address->address().size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    thread_ = std::jthread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  Endpoint endpoint() const { return {Endpoint::Kind::unix_socket, path(), "", 0}; }
  std::string url() const { return "unix:" + path(); }
  // As far as the end of the header.
  std::vector<std::string> requests() {
    return requests_.withLock([](auto& all) { return all; });
  }
  std::size_t accepted() { return requests().size(); }

 private:
  std::string path() const { return directory_.path() + "/s.sock"; }
  void serve() {
    for (const std::string& answer : answers_) {
      const os::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::recv(fd.get(), buffer, sizeof buffer, 0);
        if (count <= 0) break;
        request.append(buffer, static_cast<std::size_t>(count));
      }
      requests_.withLock([&](auto& all) { all.push_back(request); });
      EXPECT_EQ(::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
    }
  }

  os::TempDir directory_;
  const std::vector<std::string> answers_;
  Synchronized<std::vector<std::string>> requests_;
  os::Fd listener_;
  std::jthread thread_;
};

}  // namespace buoy::net
