#include "cli/job_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/synchronized.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

using ::testing::ElementsAre;

// A server that plays one scripted answer after another to requests for logs, and tells of the job as it is
// set.
class FeedTest : public ::testing::Test {
 protected:
  struct Script {
    std::vector<std::function<void(net::Responder&)>> answers;
    std::vector<std::string> asked;  // targets of the log requests
    engine::JobPhase phase = engine::JobPhase::running;
    std::shared_ptr<net::Responder> open;  // of the last log request
  };

  FeedTest() : directory_(std::move(*os::TempDir::create("cli-feed-"))) {
    server_ = net::makeServer(
        {}, [this](const net::Request& request, const std::shared_ptr<net::Responder>& responder) {
          answer(request, responder);
        });
    const std::string path = directory_.path() + "/s";
    EXPECT_TRUE(server_->listenUnix(path));
    address_.endpoint = {net::Endpoint::Kind::unix_socket, path, "", 0};
  }

  void answer(const net::Request& request, const std::shared_ptr<net::Responder>& shared) {
    net::Responder& responder = *shared;
    auto script = script_.lock();
    if (request.path.ends_with("/logs")) {
      script->asked.push_back(request.target);
      script->open = shared;
      const std::size_t n = script->asked.size() - 1;
      if (n < script->answers.size()) return script->answers[n](responder);
      responder.begin(200, "application/x-ndjson");
      return responder.end();
    }
    api::JobView job;
    job.id = JobId{1};
    job.request.name = "test";
    job.phase = script->phase;
    responder.send({200, "application/json", api::toJson(job), {}});
  }

  static std::string line(int n) {
    api::LogLineView view;
    view.cursor = "c" + std::to_string(n);
    view.text = "line " + std::to_string(n);
    return api::toJson(view) + "\n";
  }
  // Lines without an end: the connection breaks when the second line has been told (an earlier break could
  // overtake what is still unsent).
  static std::function<void(net::Responder&)> breaks(std::string text) {
    return [text = std::move(text)](net::Responder& responder) {
      responder.begin(200, "application/x-ndjson");
      responder.write(text);
    };
  }
  Status read() {
    Connection connection(address_, Connection::Start::never);
    const FeedSource source = logSource(JobId{1}, std::nullopt, [this](const api::LogLineView& view) {
      lines_.push_back(view.text);
      if (lines_.size() == 2) script_.lock()->open.reset();
    });
    return readFeed(
        connection, JobId{1}, source, [](bool) {}, stop_.get_token());
  }

  os::TempDir directory_;
  Synchronized<Script> script_;
  std::unique_ptr<net::Server> server_;
  ServerAddress address_;
  std::stop_source stop_;
  std::vector<std::string> lines_;
};

TEST_F(FeedTest, GoesOnBehindTheLastWholeLine) {
  script_.withLock([](Script& script) {
    script.answers.push_back(breaks(line(1) + line(2) + line(3).substr(0, 20)));
    script.answers.push_back([](net::Responder& responder) {
      responder.send({503, "application/json", "{}", {}});
    });
    script.answers.push_back([&script](net::Responder& responder) {
      script.phase = engine::JobPhase::succeeded;
      responder.begin(200, "application/x-ndjson");
      responder.write(line(3) + line(4));
      responder.end();
    });
  });
  ASSERT_TRUE(read());
  EXPECT_THAT(lines_, ElementsAre("line 1", "line 2", "line 3", "line 4"));
  const auto asked = script_.lock()->asked;
  ASSERT_EQ(asked.size(), 4u) << "and once more for what came at the very end";
  EXPECT_EQ(asked[1], "/v1/jobs/j1/logs?follow=1&from=c2");
  EXPECT_EQ(asked[2], "/v1/jobs/j1/logs?follow=1&from=c2");
  EXPECT_EQ(asked[3], "/v1/jobs/j1/logs?follow=0&from=c4");
}

TEST_F(FeedTest, AStreamThatEndsBeforeTheJobIsAskedForAgain) {
  script_.withLock([](Script& script) {
    script.answers.push_back([](net::Responder& responder) {
      responder.begin(200, "application/x-ndjson");
      responder.end();
    });
    script.answers.push_back([&script](net::Responder& responder) {
      script.phase = engine::JobPhase::failed;
      responder.begin(200, "application/x-ndjson");
      responder.write(line(1));
      responder.end();
    });
  });
  ASSERT_TRUE(read());
  EXPECT_THAT(lines_, ElementsAre("line 1"));
}

TEST_F(FeedTest, WhatIsOfNoUseToWaitForEndsIt) {
  script_.withLock([](Script& script) {
    script.answers.push_back([](net::Responder& responder) {
      responder.send({404,
                      "application/json",
                      api::toJson(api::ErrorView{ErrorCode::not_found, "no such job", {}}),
                      {}});
    });
  });
  const Status status = read();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::not_found);
}

TEST_F(FeedTest, GarbageIsAnErrorAndNotALine) {
  script_.withLock([](Script& script) {
    script.answers.push_back([](net::Responder& responder) {
      responder.begin(200, "application/x-ndjson");
      responder.write(line(1) + "not json\n");
      responder.end();
    });
  });
  EXPECT_FALSE(read());
  EXPECT_THAT(lines_, ElementsAre("line 1"));
}

}  // namespace
}  // namespace buoy::cli
