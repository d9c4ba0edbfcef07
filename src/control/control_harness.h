#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/views.h"
#include "base/strings.h"
#include "control/control_plane.h"
#include "control/testing_cloud.h"
#include "os/files.h"
#include "os/system_clock.h"
#include "schedule/scheduler.h"

// A control plane as its tests drive it: real but for its cloud and its agents. For tests only.
namespace buoy::control {

using nlohmann::json;

inline constexpr std::chrono::seconds kTestLimit{60};

// Runs with the system's clock and can be moved on.
class MovableClock final : public Clock {
 public:
  MovableClock(Time not_before, std::atomic<std::int64_t>& ahead) : real_(not_before), ahead_(ahead) {}
  Time now() const override { return real_.now() + Duration{ahead_.load()}; }

 private:
  os::SystemClock real_;
  std::atomic<std::int64_t>& ahead_;
};

// A control plane on a state directory that outlives it.
class Harness {
 public:
  explicit Harness(std::string directory) : directory_(std::move(directory)), cloud_(directory_ + "/cloud") {
    engine::Pool pool;
    pool.name = "local";
    pool.provider = "local";
    pool.types = {{"small", {1000, 0, ByteCount{1u << 30}}, {1'000'000'000}, {300'000'000}}};
    pool.max_machines = 2;
    options_.config.pools = {pool};
    options_.config.queues = {{"default", 0, {"local"}, false}};
    options_.state_dir = directory_ + "/state";
    options_.policy = &policy_;
    options_.providers = cloud_.factory();
    options_.clock = [this](Time not_before) { return std::make_unique<MovableClock>(not_before, ahead_); };
  }

  void start() {
    auto plane = ControlPlane::start(options_);
    ASSERT_TRUE(plane) << plane.error().message;
    plane_ = std::move(*plane);
  }
  void stop() { plane_.reset(); }
  void restart() {
    stop();
    start();
  }
  void advance(Duration by) {
    ahead_ += by.count();
    plane_->wake();
  }

  net::Response call(std::string method, std::string target, std::string body = {}) {
    const auto client =
        net::makeClient(*net::parseEndpoint("unix:" + options_.state_dir + "/server.sock"), {});
    net::Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.body = std::move(body);
    const auto response = client->send(request, kTestLimit);
    EXPECT_TRUE(response) << response.error().message;
    return response ? *response : net::Response{};
  }
  json get(const std::string& target) {
    const net::Response response = call("GET", target);
    EXPECT_EQ(response.status, 200) << target << ": " << response.body;
    return json::parse(response.body, nullptr, false);
  }
  net::Response trySubmit(const std::string& name, const std::string& request_id = {},
                          const std::string& more = {}) {
    return call("POST", "/v1/jobs",
                R"({"spec":{"name":")" + name + R"(","run":"true")" + more + "}" +
                    (request_id.empty() ? "" : R"(,"request_id":")" + request_id + "\"") + "}");
  }
  std::string submit(const std::string& name, const std::string& request_id = {},
                     const std::string& more = {}) {
    const net::Response response = trySubmit(name, request_id, more);
    EXPECT_EQ(response.status, 201) << response.body;
    return json::parse(response.body, nullptr, false).value("job", "");
  }
  // All lines of a stream, which ends when the job does (follow) or at once.
  std::vector<json> stream(const std::string& target) {
    const auto client =
        net::makeClient(*net::parseEndpoint("unix:" + options_.state_dir + "/server.sock"), {});
    net::Request request;
    request.method = "GET";
    request.target = target;
    std::string body;
    const auto response = client->stream(request, kTestLimit, [&](std::string_view piece) {
      body += piece;
      return true;
    });
    EXPECT_TRUE(response) << response.error().message;
    std::vector<json> lines;
    for (const std::string_view line : split(body, '\n')) {
      if (!line.empty()) lines.push_back(json::parse(line));
    }
    return lines;
  }
  std::vector<std::string> log(const std::string& job, const std::string& query = "") {
    std::vector<std::string> texts;
    for (const json& line : stream("/v1/jobs/" + job + "/logs?" + query)) texts.push_back(line["text"]);
    return texts;
  }
  // Waits for the job's end.
  json finished(const std::string& job) {
    stream("/v1/jobs/" + job + "/events?follow=1");
    return get("/v1/jobs/" + job);
  }

  std::string directory_;
  FakeCloud cloud_;
  schedule::Scheduler policy_{
      std::make_shared<schedule::spot::Planner>(std::vector<schedule::spot::History>{})};
  std::atomic<std::int64_t> ahead_ = 0;
  ControlOptions options_;
  std::unique_ptr<ControlPlane> plane_;
};

class ControlTest : public testing::Test {
 protected:
  void SetUp() override { plane_.start(); }
  os::TempDir dir_ = *os::TempDir::create("buoy-control-");
  Harness plane_{dir_.path()};
};

}  // namespace buoy::control
