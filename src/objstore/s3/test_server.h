#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "base/synchronized.h"
#include "net/http.h"
#include "objstore/s3/client.h"

// For the tests of S3's client and of what uses it.
namespace buoy::objstore::s3 {

inline const aws::Credentials kKeys{"AKIDone", "secret-one", "token-one", std::nullopt};

inline net::Response refusal(int status, const std::string& code, const std::string& more = {}) {
  net::Response response;
  response.status = status;
  response.content_type = "application/xml";
  response.body = strCat(
      {"<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>Because.</Message>", more, "</Error>"});
  return response;
}

inline net::Response success(std::string body = {}, std::string etag = "\"e1\"") {
  net::Response response;
  response.body = std::move(body);
  response.headers = {{"ETag", std::move(etag)}};
  return response;
}

// An S3 server on a port of its own that answers as told, in order; the last answer again and again.
class TestServer {
 public:
  using Answer = std::function<net::Response(const net::Request&)>;
  explicit TestServer(std::vector<Answer> answers) : answers_(std::move(answers)) {
    server_ = net::makeServer({}, [this](net::Request request, std::shared_ptr<net::Responder> responder) {
      const std::size_t index = requests_.withLock([&](auto& all) {
        all.push_back(request);
        return all.size() - 1;
      });
      responder->send(answers_[std::min(index, answers_.size() - 1)](request));
    });
    port_ = server_->listenTcp("127.0.0.1", 0, std::nullopt).value();
  }
  explicit TestServer(Answer answer) : TestServer(std::vector<Answer>{std::move(answer)}) {}

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<net::Request> requests() {
    return requests_.withLock([](auto& all) { return all; });
  }
  net::Request request(std::size_t index) { return requests().at(index); }

 private:
  const std::vector<Answer> answers_;
  Synchronized<std::vector<net::Request>> requests_;
  std::uint16_t port_ = 0;
  std::unique_ptr<net::Server> server_;  // last: it stops before what its handler uses goes
};

inline TestServer::Answer always(const net::Response& response) {
  return [response](const net::Request&) { return response; };
}

inline ClientOptions optionsFor(const std::string& url) {
  ClientOptions options;
  options.settings.region = "us-east-1";
  options.settings.s3_endpoint = url;
  options.credentials = aws::staticCredentials(kKeys);
  // For what must come to an end here.
  options.patience = std::chrono::minutes{5};
  options.first_patience = std::chrono::minutes{5};
  return options;
}

inline std::shared_ptr<Client> clientOf(const TestServer& server) {
  return Client::create(optionsFor(server.url())).value();
}

}  // namespace buoy::objstore::s3
