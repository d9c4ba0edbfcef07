#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/settings.h"
#include "base/synchronized.h"
#include "net/http.h"
#include "os/files.h"

// For the tests of aws.
namespace buoy::aws {

// A home with shared files in it, and nothing else in the environment but what a test adds.
class Home {
 public:
  Home() : directory_(os::TempDir::create("buoy-aws").value()) {
    environment["HOME"] = directory_.path();
    environment["PATH"] = "/usr/bin:/bin";
    // Where nobody listens, so that no test asks the machine it runs on.
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1";
  }
  void config(std::string_view text) { write(".aws/config", text); }
  void credentials(std::string_view text) { write(".aws/credentials", text); }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string write(const std::string& name, std::string_view text, unsigned mode = 0600) {
    EXPECT_TRUE(os::makeDirectories(directory_.path() + "/.aws"));
    EXPECT_TRUE(os::writeFileAtomic(path(name), text, mode));
    return path(name);
  }

  Environment environment;

 private:
  os::TempDir directory_;
};

// A service on a port of its own: answers as told and keeps what it was asked.
class Service {
 public:
  using Answer = std::function<net::Response(const net::Request&)>;
  explicit Service(Answer answer) {
    server_ = net::makeServer({}, [this, answer = std::move(answer)](
                                      net::Request request, std::shared_ptr<net::Responder> responder) {
      requests_.withLock([&](auto& all) { all.push_back(request); });
      responder->send(answer(request));
    });
    const auto port = server_->listenTcp("127.0.0.1", 0, std::nullopt);
    EXPECT_TRUE(port);
    host_ = "127.0.0.1:" + std::to_string(port.value_or(0));
  }
  std::string host() const { return host_; }
  std::string url() const { return "http://" + host_; }
  std::vector<net::Request> requests() {
    return requests_.withLock([](auto& all) { return all; });
  }
  void stop() { server_.reset(); }

 private:
  std::string host_;
  Synchronized<std::vector<net::Request>> requests_;
  std::unique_ptr<net::Server> server_;  // last: it stops before what its handler uses goes
};

inline net::Response answerOf(std::string body, int status = 200) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

// What the metadata services and credential_process give.
inline std::string documentOf(const std::string& name, Time expires) {
  return R"({"Code":"Success","Type":"AWS-HMAC","Version":1,"AccessKeyId":"AKID)" + name +
         R"(","SecretAccessKey":"secret-)" + name + R"(","Token":"token-)" + name + R"(","Expiration":")" +
         formatTime(expires) + "\"}";
}

}  // namespace buoy::aws
