#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "aws/test_support.h"
#include "base/strings.h"
#include "cloud/aws/ec2.h"
#include "net/url.h"

// For the tests: AWS as a server on a port of its own, whose answers are written by the test.
namespace buoy::cloud::aws {

inline std::string ec2Answer(const std::string& action, const std::string& content) {
  return strCat({"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<", action,
                 "Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>",
                 content, "</", action, "Response>"});
}
inline net::Response ec2Refusal(int status, const std::string& code,
                                const std::string& message = "Because.") {
  return buoy::aws::answerOf(
      strCat({"<?xml version=\"1.0\"?><Response><Errors><Error><Code>", code, "</Code><Message>", message,
              "</Message></Error></Errors><RequestID>1</RequestID></Response>"}),
      status);
}

struct FakeCall {
  std::string action;
  std::map<std::string, std::string> parameters;
  std::string authorization;
};

class FakeAws {
 public:
  using Answer = std::function<net::Response(const FakeCall&)>;

  FakeAws() : service_([this](const net::Request& request) { return answer(request); }) {}

  // From now on.
  void on(const std::string& action, Answer answer) {
    answers_.withLock([&](auto& all) { all[action] = std::move(answer); });
  }
  void on(const std::string& action, const std::string& content) {
    on(action, [body = ec2Answer(action, content)](const FakeCall&) { return buoy::aws::answerOf(body); });
  }
  std::vector<FakeCall> calls(const std::string& action) {
    return calls_.withLock([&](const auto& all) {
      std::vector<FakeCall> found;
      std::copy_if(all.begin(), all.end(), std::back_inserter(found),
                   [&](const FakeCall& call) { return call.action == action; });
      return found;
    });
  }
  std::string url() const { return service_.url(); }

  CallerOptions options(const Clock& clock) const {
    buoy::aws::Settings settings;
    settings.region = "eu-west-1";
    return {.settings = settings,
            .endpoints = {{"ec2", url()},
                          {"iam", url()},
                          {"efs", url()},
                          {"pricing", url()},
                          {"ssm", url()},
                          {"sts", url()}},
            .credentials = buoy::aws::staticCredentials({"AKIDone", "secret-one", "token-one", std::nullopt}),
            .clock = clock,
            // For what must come to an end here.
            .patience = std::chrono::minutes{5},
            .first_patience = std::chrono::minutes{5}};
  }

 private:
  net::Response answer(const net::Request& request) {
    FakeCall call;
    if (const std::string_view target = request.header("X-Amz-Target"); !target.empty()) {
      call.action = target.substr(target.find('.') + 1);
      call.parameters["body"] = request.body;
    } else {
      for (auto& [name, value] : net::parseQuery(request.body).value_or(net::QueryList{}))
        call.parameters[name] = value;
      call.action = call.parameters["Action"];
    }
    call.authorization = request.header("Authorization");
    calls_.lock()->push_back(call);
    const Answer answer = answers_.withLock([&](const auto& all) {
      const auto found = all.find(call.action);
      return found == all.end() ? Answer() : found->second;
    });
    return answer ? answer(call) : ec2Refusal(400, "InvalidAction", call.action + " was not expected");
  }

  Synchronized<std::map<std::string, Answer>> answers_;
  Synchronized<std::vector<FakeCall>> calls_;
  buoy::aws::Service service_;  // last: it stops before what its handler uses goes
};

// Objects by path, as S3 has them.
class FakeBucket {
 public:
  FakeBucket() : service_([this](const net::Request& request) { return answer(request); }) {}
  std::string url() const { return service_.url(); }
  std::map<std::string, std::string> objects() {
    return objects_.withLock([](const auto& all) { return all; });
  }

 private:
  net::Response answer(const net::Request& request) {
    const auto objects = objects_.lock();
    net::Response response;
    response.headers = {{"ETag", "\"e\""}};
    if (request.method == "PUT") {
      (*objects)[request.path] = request.body;
    } else if (request.method == "DELETE") {
      objects->erase(request.path);
      response.status = 204;
    } else if (request.method == "POST") {
      response.body = "<DeleteResult/>";
    } else if (const auto found = objects->find(request.path); found != objects->end()) {
      response.body = found->second;
    } else {
      response.status = 404;
    }
    return response;
  }
  Synchronized<std::map<std::string, std::string>> objects_;
  buoy::aws::Service service_;
};

}  // namespace buoy::cloud::aws
